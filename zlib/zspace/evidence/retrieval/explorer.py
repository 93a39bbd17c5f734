"""An interactive page inside a notebook: choose layer, language and direction, read the errors.

`explorer` gives an object that a notebook displays: a slider over layers, a choice of language and
direction, accuracy by layer, and each query whose nearest neighbour tells another story, with the texts. It
needs no kernel and no network once it is drawn, so that it works in JupyterLab and in a report alike.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...measures import alignment
from ...sources.corpora import Corpus
from ..language_pairs import TRAINED, LanguagePair

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Explorer:
    """What is shown; `accuracy` maps languages to the (L+1,) between-scenario accuracy on all items."""

    data: Mapping
    accuracy: Mapping[str, np.ndarray]

    def _repr_html_(self) -> str:
        code, style = ((_ASSETS / f"explorer.{kind}").read_text("utf-8") for kind in ("js", "css"))
        # "<" cannot end the script element when it is written as an escape.
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        # texts may hold dollars, which JupyterLab would take for formulas
        plain = "tex2jax_ignore mathjax_ignore"
        return (
            f'<div class="zspace-explorer {plain}"><style>{style}</style><div class="zspace-root"></div>'
            f"<script>(function (data, root) {{{code}}})({data}, "
            "document.currentScript.previousElementSibling);</script></div>"
        )

    def __repr__(self) -> str:
        best = {code: int(np.argmax(a)) for code, a in self.accuracy.items()}
        lines = [f"{code}: {a[best[code]]:.2f} at layer {best[code]}" for code, a in self.accuracy.items()]
        return "nearest neighbour tells the same story, at the best layer: " + ", ".join(lines)


def explorer(pairs: Mapping[str, LanguagePair], corpus: Corpus, *, center: bool = True) -> Explorer:
    """Nearest neighbours of every item at every layer, by centred cosine, in both directions.

    `pairs` and `corpus` as from `open_pairs`; means for centring are those of the discovery items.
    """
    anchor = corpus.languages[0]
    found, accuracy = {}, {}
    for language, pair in pairs.items():
        x, y = pair.subjects[TRAINED]
        means = pair.means(TRAINED) if center else False
        scores = alignment.similarity(x, y, center=means)
        found[language] = [_nearest(scores), _nearest(scores.swapaxes(-1, -2))]
        outcomes = alignment.outcomes_of_scores(scores, groups=pair.scenario, level="between")
        accuracy[language] = outcomes.mean((1, 2))
    data = {
        "anchor": anchor,
        "texts": {code: list(corpus.texts[code]) for code in corpus.languages},
        "items": corpus.items["item"].tolist(),
        "scenarios": corpus.items["scenario"].tolist(),
        "confirmation": next(iter(pairs.values())).confirmation.astype(int).tolist(),
        "found": found,
        "accuracy": {code: np.round(a, 4).tolist() for code, a in accuracy.items()},
    }
    return Explorer(data, accuracy)


def _nearest(scores: np.ndarray) -> dict[str, list]:
    """Per layer and query: its nearest candidate, and how far its own translation lies below (in .01)."""
    nearest = scores.argmax(-1)
    own = np.diagonal(scores, axis1=-2, axis2=-1)
    gap = np.round(100 * (scores.max(-1) - own)).astype(int)
    return {"nearest": nearest.tolist(), "gap": gap.tolist()}
