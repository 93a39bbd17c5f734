"""Language identity: can a probe tell in which language a text was written, by its state?

Symbols: `states` holds K arrays (L+1, n, d), one per language, rows the same items in each. Languages that
share a space may still be told apart in it: by an offset, which is what a linear probe sees, or, once offsets
are taken away, by how their states spread, which only another probe can see.

Source: Libovický, Rosa and Fraser (2020), "On the Language Neutrality of Pre-trained Multilingual
Representations", Findings of EMNLP.
"""

from collections.abc import Sequence

import numpy as np

from ..errors import MeasureError

_RIDGE = 1.0


def language_probe(states: Sequence, train, *, center: bool = False) -> np.ndarray:
    """Held-out accuracy, layer by layer, of a classifier that tells the language: (L+1,), chance 1/K.

    It is a ridge classifier, on dimensions scaled by the standard deviation over the training items.

    Parameters
    ----------
    states : K arrays (L+1, n, d), arbitrary units.
    train : (n,) bool, the items the probe is fitted on; all others are told. An item is on one side in
        all languages.
    center : subtract from each language its mean over the training items first, as retrieval does. The
        means being equal, least squares would leave a linear probe no weights: the classifier is a support
        vector machine with a Gaussian kernel instead, which tells languages by the spread of their states.

    Raises
    ------
    MeasureError : fewer than two languages, arrays of different shapes, or no item on one of the sides.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.svm import SVC

    states = [np.asarray(one) for one in states]
    train = np.asarray(train, bool)
    if len(states) < 2 or len({one.shape for one in states}) > 1 or states[0].ndim != 3:
        raise MeasureError(
            f"states have shapes {[one.shape for one in states]}; expected at least two arrays (layers, "
            "items, hidden) of one shape."
        )
    n_train, n_test = int(train.sum()), int((~train).sum())
    if train.shape != states[0].shape[1:2] or not n_train or not n_test:
        n_items = states[0].shape[1]
        raise MeasureError(f"train marks {n_train} of {train.size} items; expected some of {n_items}.")
    labels = np.repeat(np.arange(len(states)), n_train), np.repeat(np.arange(len(states)), n_test)
    accuracy = []
    for layers in zip(*states, strict=True):
        offsets = [one[train].mean(0, dtype=float) if center else 0.0 for one in layers]
        fit, told = (
            np.concatenate([one[rows] - offset for one, offset in zip(layers, offsets, strict=True)])
            for rows in (train, ~train)
        )
        scale = fit.std(0, dtype=float)
        scale[scale == 0] = 1.0
        probe = SVC() if center else RidgeClassifier(alpha=_RIDGE)
        accuracy.append(probe.fit(fit / scale, labels[0]).score(told / scale, labels[1]))
    return np.array(accuracy)
