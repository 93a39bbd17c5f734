r"""Bridges between two languages as further languages see them: what noise of their own cannot imitate.

Symbols: x, y (..., n, d) states of n items in two languages, leading axes (layers) independent; w (..., n, q)
an *instrument*, scores of the same items that other languages alone give. Each language is taken to hold a
shared part z and noise that is independent of the other languages', of any shape. Then the covariances
B_x = E[w' x] and B_y = E[w' y] have no noise in them: if y is a scaled rotation of x, B_y = s B_x R exactly,
and A = B_x^+ B_y is the affine map from one shared part to the other. From x and y alone this cannot be told:
noise in x that is large where x varies little looks like an ill-conditioned map, and any cross-covariance of
two languages is that of some rotation with noise of some shape (its polar decomposition).

Source: Angrist & Krueger (1995), "Split-Sample Instrumental Variables Estimates of the Return to Schooling",
Journal of Business & Economic Statistics 13, for scoring one half of a sample with what the other one gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import MeasureError
from .fitting import centred_states, energy

RIDGE = 0.1
"""Added to the Gram of a language before a spectrum is taken, in units of its mean eigenvalue: singular
values below a third of their root mean square hardly count, as noise decides them."""


@dataclass(frozen=True)
class MissedByRotation:
    """What the best scaled rotation leaves of the part of y that x and the instrument share, item by item.

    Attributes
    ----------
    missed : (..., m) products of what is left with what was left on the training items; their sum over that
        of
        `spread` estimates a share of the variance of y, 0 in the mean where a scaled rotation is the truth.
    shared : (..., m) the same of y itself: the share of its variance that the instrument predicts.
    spread : (..., m) squared distances of y from the mean of the scored items.
    """

    missed: np.ndarray
    shared: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class PairsOfLanguages:
    """Instrumented numbers of pairs of languages, (..., P) for P pairs; each pair's instrument leaves it out.

    Attributes
    ----------
    singular_values : (..., P, q) of `spectrum`, from the first to the second language.
    gap : share of variance that the best scaled rotation misses of what is shared, mean over both directions;
        0 in the mean where a scaled rotation is the truth, so that it can be negative.
    shared : share of variance that the instrument predicts, mean over both languages.
    """

    singular_values: np.ndarray
    gap: np.ndarray
    shared: np.ndarray

    @property
    def log_kappa(self) -> np.ndarray:
        """Log condition number (..., P) of the regularised map, the same in both directions."""
        return np.log(self.singular_values[..., 0] / self.singular_values[..., -1])


def readers(states: Sequence[np.ndarray], train: np.ndarray, n_components: int) -> list[np.ndarray]:
    """For each language, weights (..., d, q) that read the leading components of all languages together.

    Languages count alike: each is divided by the size of its training states.

    states : K arrays (..., n, d). train : (n,) bool.

    Raises MeasureError where there are fewer training items or dimensions than components.
    """
    scaled = [_unit(s[..., train, :]) for s in states]
    together = np.concatenate(scaled, axis=-1)
    most = min(together.shape[-2] - 1, together.shape[-1])
    if not 1 <= n_components <= most:
        raise MeasureError(
            f"{n_components} components of {len(states)} languages; their training items allow 1 to {most}."
        )
    scores = _whitened(*np.linalg.eigh(together @ together.mT), n_components)
    sizes = (np.sqrt(energy(centred_states("states", s[..., train, :])[0])) for s in states)
    return [one.mT @ scores / size[..., None, None] for one, size in zip(scaled, sizes, strict=True)]


def instrument(states: Sequence[np.ndarray], train: np.ndarray, n_components: int) -> np.ndarray:
    """Scores (..., n, q) of all items from these languages alone: mean zero and uncorrelated on `train`."""
    read = readers(states, train, n_components)
    scores = sum(
        (s - s[..., train, :].mean(-2, keepdims=True)) @ r for s, r in zip(states, read, strict=True)
    )
    fitted = scores[..., train, :]
    return scores @ _whitened(*np.linalg.eigh(fitted.mT @ fitted / train.sum()), n_components)


def missed_by_rotation(x, y, scores, train: np.ndarray) -> MissedByRotation:
    r"""What a scaled rotation misses of y on the items that are not trained on, as seen by an instrument.

    With B_x, B_y (q, d) of the training items, s R the scaled rotation that brings B_x nearest to B_y and
    D = B_y - s B_x R, item i has missed_i = (w_i D) . (y_i - s x_i R), whose mean is <D, D'> with D' the same
    of the scored items. Where a scaled rotation is true D is noise, and D' is what the error of R makes:
    both are orthogonal to first order, so that the mean is zero whatever the shapes of the noise.

    Parameters
    ----------
    x, y : (..., n, d). scores : (..., n, q) of `instrument`, from other languages. train : (n,) bool.
    """
    own = [s - s[..., train, :].mean(-2, keepdims=True) for s in (np.asarray(x, float), np.asarray(y, float))]
    n, fitted = train.sum(), scores[..., train, :].mT
    # a rotation acts on the span of B alone: q dimensions of each language
    axes = [np.linalg.svd(fitted @ s[..., train, :] / n, full_matrices=False)[2].mT for s in own]
    seen = [s @ v for s, v in zip(own, axes, strict=True)]
    b_x, b_y = (fitted @ s[..., train, :] / n for s in seen)
    turned = _best_rotation(b_x, b_y)
    left = b_y - b_x @ turned
    w, x, y = (s[..., ~train, :] - s[..., ~train, :].mean(-2, keepdims=True) for s in (scores, *seen))
    products = (((w @ b) * one).sum(-1) for b, one in ((left, y - x @ turned), (b_y, y)))
    return MissedByRotation(*products, (y**2).sum(-1))


def instrumented_pairs(
    states: np.ndarray, read: np.ndarray, parts: tuple[np.ndarray, np.ndarray], pairs: np.ndarray
) -> PairsOfLanguages:
    """Conditioning and gap of pairs of K languages, from covariances that are computed once per language.

    A pair's instrument sums what the K - 2 other languages read. The gap multiplies what a rotation leaves in
    one part with what the same rotation leaves in the other; kappa is that of both parts together.

    Parameters
    ----------
    states : (K, ..., n, p) components of all languages.
    read : (K, ..., p, q) of `readers`, fitted to items outside of both parts, q at most p.
    parts : two (n,) masks, disjoint. pairs : (P, 2) indices of languages.
    """
    moments = [_moments(states[..., part, :], read) for part in parts]
    first, second = pairs.T
    covariance = sum(_of_others(within, first, second) for _, within, _ in moments) / 2
    root = np.linalg.cholesky(covariance)
    # of both languages of every pair, in both parts
    a, b = (
        [np.linalg.solve(root, cross.sum(0)[one] - cross[first, one] - cross[second, one]) for one in pairs.T]
        for cross, *_ in moments
    )
    sizes = [[variance[one] for one in pairs.T] for *_, variance in moments]
    shared = [(one * other).sum((-2, -1)) / size for one, other, size in zip(a, b, sizes[1], strict=True)]
    gaps = [
        _cross_fitted_gap(fit[::way], score[::way]) / size[::way][1]
        for fit, score, size in ((a, b, sizes[1]), (b, a, sizes[0]))
        for way in (1, -1)
    ]
    values = spectrum(*((one + other) / 2 for one, other in zip(a, b, strict=True)))
    means = (np.moveaxis(np.mean(one, axis=0), 0, -1) for one in (gaps, shared))
    return PairsOfLanguages(np.moveaxis(values, 0, -2), *means)


def spectrum(b_x: np.ndarray, b_y: np.ndarray) -> np.ndarray:
    """Singular values (..., q), falling, of the regularised map between languages with covariances (..., q,
    p).

    Square roots of the eigenvalues of G_x^-1 G_y, G = B B' with `RIDGE` times its mean eigenvalue added.
    """
    g_x, g_y = (_regular_gram(b) for b in (b_x, b_y))
    root = np.linalg.cholesky(g_x)
    half = np.linalg.solve(root, g_y)
    return np.sqrt(np.linalg.eigvalsh(np.linalg.solve(root, half.mT))[..., ::-1])


def rotation_gap(b_x: np.ndarray, b_y: np.ndarray) -> np.ndarray:
    """Share (...) of b_y (..., q, p) that the best scaled rotation of b_x leaves: 0 where it is one."""
    return energy(b_y - b_x @ _best_rotation(b_x, b_y)) / energy(b_y)


def _regular_gram(b: np.ndarray) -> np.ndarray:
    gram = b @ b.mT
    mean = np.trace(gram, axis1=-2, axis2=-1) / gram.shape[-1]
    return gram + RIDGE * mean[..., None, None] * np.eye(gram.shape[-1])


def _best_rotation(b_x: np.ndarray, b_y: np.ndarray) -> np.ndarray:
    """The scaled rotation (..., p, p) that brings b_x (..., q, p) nearest to b_y."""
    u, s, vt = np.linalg.svd(b_x.mT @ b_y)
    return (s.sum(-1) / energy(b_x))[..., None, None] * (u @ vt)


def _cross_fitted_gap(fitted: Sequence[np.ndarray], scored: Sequence[np.ndarray]) -> np.ndarray:
    """Product (...) of what the rotation of one part leaves there and in the other; each (B_x, B_y)."""
    turned = _best_rotation(*fitted)
    left, other = (b_y - b_x @ turned for b_x, b_y in (fitted, scored))
    return (left * other).sum((-2, -1))


def _moments(states: np.ndarray, read: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariances of what languages read with states (K, K, ..., q, p) and with what others read (K, K, ...,
    q, q), and the variance of states (K, ...)."""
    centred = states - states.mean(-2, keepdims=True)
    n = centred.shape[-2]
    scores = (centred @ read).mT / n
    cross = np.stack([one @ centred for one in scores])
    within = np.stack([one @ (centred @ read) for one in scores])
    return cross, within, energy(centred) / n


def _of_others(within: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Covariance (P, ..., q, q) of the sum over all languages but the two of each pair."""
    rows, total = within.sum(1), within.sum((0, 1))
    left_out = total - rows[first] - rows[second] - rows[first].mT - rows[second].mT
    pair = within[first, second]
    return left_out + within[first, first] + within[second, second] + pair + pair.mT


def _whitened(values: np.ndarray, vectors: np.ndarray, n: int) -> np.ndarray:
    """The leading eigenvectors (..., k, n), each over the root of its value; one of zero stays finite."""
    values, vectors = values[..., -n:], vectors[..., -n:]
    return vectors / np.sqrt(np.maximum(values, 1e-12 * values[..., -1:]))[..., None, :]


def _unit(states: np.ndarray) -> np.ndarray:
    centred, _ = centred_states("states", states)
    return centred / np.sqrt(energy(centred))[..., None, None]
