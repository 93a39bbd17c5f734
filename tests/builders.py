"""Small random objects that several test files draw."""

import numpy as np


def rotation(rng, d):
    """An orthogonal matrix (d, d)."""
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def title(figure):
    """The title of a figure on one line."""
    return figure.layout.title.text.replace("<br>", " ")


def language_pair(subjects, scenario, discovery, *, language="simulated", tokens=None, **others):
    """A pair of items that compare within their scenario (n,)."""
    from zspace.evidence.language_pairs import LanguagePair

    names = scenario.astype(str)
    return LanguagePair(language, subjects, names, names, discovery, tokens, **others)
