"""Small random objects that several test files draw."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

SCRIPTS = Path(__file__).resolve().parents[1] / "notebooks" / "py"


def rotation(rng, d):
    """An orthogonal matrix (d, d)."""
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def compatible(count, n, rate, alternative="two-sided"):
    """Whether `count` of n trials can have the probability `rate`, by a binomial test at the 1 % level."""
    return stats.binomtest(int(np.rint(count)), n, rate, alternative=alternative).pvalue > 0.01


three_seeds = pytest.mark.parametrize("rng", range(3), indirect=True)  # three generators, one test each
SHAPES = ((0, 5, 12, 7), (1, 2, 9, 30), (2, 7, 25, 3))  # seed, L+1, n, d


def related_languages(seed, n_states, n, d):
    """States (L+1, n, d) of two languages that share a part of every contribution, with offsets."""
    rng = np.random.default_rng(seed)
    shared, own = rng.standard_normal((n_states, n, d)), rng.standard_normal((2, n_states, n, d))
    return tuple(np.cumsum(shared + 0.7 * own, axis=1) + 3 * rng.standard_normal((2, 1, 1, d)))


def put(states, where, value):
    """A copy of the states with a value put somewhere."""
    states = states.copy()
    states[where] = value
    return states


def title(figure):
    """The title of a figure on one line."""
    return figure.layout.title.text.replace("<br>", " ")


def language_pair(subjects, scenario, discovery, *, language="simulated", tokens=None, **others):
    """A pair of items that compare within their scenario (n,)."""
    from zspace.evidence.language_pairs import LanguagePair

    names = scenario.astype(str)
    return LanguagePair(language, subjects, names, names, discovery, tokens, **others)


def run_script(name, **parameters):
    """What a notebook's script computes with these parameters: its variables."""
    import jupytext

    space = {}
    for cell in jupytext.read(SCRIPTS / f"{name}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, name, "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            assert parameters.keys() <= space.keys()
            space |= parameters
    return space
