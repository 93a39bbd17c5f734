"""Surface: what the texts alone give away about which items translate each other, without any model.

Symbols: `ids_x`, `ids_y` (n, T) integer token ids of the texts in two languages by one tokenizer,
padded with -1, row i of both is the same item; the lengths T may differ. Where languages share names
and numerals, shared tokens and like lengths find translations: what a model must be shown to beat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..errors import MeasureError
from .alignment import Level, outcomes_of_scores


@dataclass(frozen=True)
class TokenOverlap:
    """Mean weighted token overlap of two languages, dimensionless in [0, 1].

    Attributes
    ----------
    matched : of an item with its own translation.
    unmatched : of an item with the translations of the others, what chance gives.
    """

    matched: float
    unmatched: float


@dataclass(frozen=True)
class Fertility:
    """How finely a tokenizer cuts a language, from n texts.

    Attributes
    ----------
    tokens : mean number of content tokens of a text.
    per_word : tokens per word, words being what white space parts; NaN in scripts that write none.
    per_character : tokens per character (Unicode code point, white space left out).
    premium : tokens of a text over those of its translation in the reference language, mean over texts.

    References
    ----------
    Rust et al. (2021), "How Good is Your Tokenizer?", ACL (fertility). Petrov et al. (2023), "Language Model
    Tokenizers Introduce Unfairness Between Languages", NeurIPS (premium).
    """

    tokens: float
    per_word: float
    per_character: float
    premium: float


def fertility(texts: Sequence[str], n_tokens, n_reference, *, spaced: bool = True) -> Fertility:
    """`Fertility` of n texts with `n_tokens` (n,) tokens; their translations in the reference language have
    `n_reference` (n,). `spaced` is False for scripts without spaces between words.

    Raises
    ------
    MeasureError : no text, counts that do not fit the texts, or a text without a token or a character.
    """
    n_tokens, n_reference = (np.asarray(n, float) for n in (n_tokens, n_reference))
    lengths = [len("".join(text.split())) for text in texts]
    fits = 0 < len(texts) == len(n_tokens) == len(n_reference)
    if not fits or min(*lengths, n_tokens.min(), n_reference.min()) < 1:
        raise MeasureError(
            f"{len(texts)} texts with {len(n_tokens)} and {len(n_reference)} token counts; expected texts, "
            "none of them blank, and one of each a text, at least 1."
        )
    words = sum(len(text.split()) for text in texts)
    return Fertility(
        tokens=float(n_tokens.mean()),
        per_word=float(n_tokens.sum() / words) if spaced else float("nan"),
        per_character=float(n_tokens.sum() / sum(lengths)),
        premium=float((n_tokens / n_reference).mean()),
    )


def token_overlap(ids_x, ids_y) -> np.ndarray:
    """Cosine of the weighted token counts of all pairs of texts, (n, n) in [0, 1].

    The weight of a token is log((1 + 2n) / (1 + texts that hold it)) over both languages, so that what every
    text holds (a full stop) counts for nothing.

    Raises
    ------
    MeasureError : the two languages have different numbers of texts.
    """
    ids_x, ids_y = np.asarray(ids_x), np.asarray(ids_y)
    if ids_x.ndim != 2 or ids_y.ndim != 2 or len(ids_x) != len(ids_y):
        raise MeasureError(
            f"token ids have shapes {ids_x.shape} and {ids_y.shape}; expected (n, T) for one n."
        )
    width = int(max(ids_x.max(initial=0), ids_y.max(initial=0))) + 1
    bags = sparse.vstack([_bag(ids_x, width), _bag(ids_y, width)]).tocsr()
    holding = np.bincount(bags.indices, minlength=width)
    bags = bags @ sparse.diags_array(np.log((1 + bags.shape[0]) / (1 + holding)))
    norms = np.sqrt(np.asarray(bags.multiply(bags).sum(1)).ravel())
    bags = sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ bags
    return np.clip((bags[: len(ids_x)] @ bags[len(ids_x) :].T).toarray(), 0.0, 1.0)


def mean_token_overlap(ids_x, ids_y) -> TokenOverlap:
    """Mean `token_overlap` of translations, beside that of unrelated items."""
    overlap = token_overlap(ids_x, ids_y)
    matched, n = np.trace(overlap), len(overlap)
    return TokenOverlap(float(matched / n), float((overlap.sum() - matched) / max(n * (n - 1), 1)))


def lexical_outcomes(ids_x, ids_y, *, groups=None, level: Level = "item") -> np.ndarray:
    """Retrieval by surface alone, the baseline of every claim: (2, n) bool, per direction and item.

    The score of a pair of texts is its IDF-weighted token overlap minus the difference of its token
    counts (standardised in each language), both brought to unit variance over all pairs; a part that
    does not vary drops out.

    `groups`, `level` as in `alignment.retrieval_outcomes`.
    """
    overlap = token_overlap(ids_x, ids_y)
    length_x, length_y = (_standardised((np.asarray(ids) >= 0).sum(1)) for ids in (ids_x, ids_y))
    scores = _standardised(overlap) - _standardised(np.abs(length_x[:, None] - length_y))
    return outcomes_of_scores(scores, groups=groups, level=level)


def ngram_outcomes(
    texts_x: Sequence[str], texts_y: Sequence[str], *, groups=None, level: Level = "item"
) -> np.ndarray:
    """Retrieval by shared spelling alone: (2, n) bool, per direction and item.

    Cosine of the TF-IDF weights of character trigrams within words, accents stripped: what cognates and
    names give away that subword tokens of two languages hide. It finds nothing across scripts. `groups`,
    `level` as in `alignment.retrieval_outcomes`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), strip_accents="unicode")
    weights = vectorizer.fit_transform([*texts_x, *texts_y])
    scores = (weights[: len(texts_x)] @ weights[len(texts_x) :].T).toarray()
    return outcomes_of_scores(scores, groups=groups, level=level)


def _bag(ids: np.ndarray, width: int) -> sparse.csr_array:
    rows, columns = np.nonzero(ids >= 0)
    counts = sparse.coo_array((np.ones(len(rows)), (rows, ids[rows, columns])), shape=(len(ids), width))
    return counts.tocsr()


def _standardised(values: np.ndarray) -> np.ndarray:
    deviation = values - values.mean()
    spread = deviation.std()
    return deviation / spread if spread > 1e-12 * max(np.abs(values).max(), 1e-300) else np.zeros_like(values)
