"""What every measure asks of its input: rows that pair by item, finite values, one group label per item."""

import numpy as np

from ..errors import MeasureError


def paired(x, y, axes: str = "(..., n, d)", *, names: tuple[str, str] = ("x", "y"), same_width: bool = True):
    """Both arrays, as given, where row i of both can be the same item; float64 is left to `finite`.

    Parameters
    ----------
    axes : the shape of x in words; a leading "..." stands for any number of axes.
    same_width : False lets the last axes differ.

    Raises
    ------
    MeasureError : axes are missing, too many or empty, fewer than 2 rows, or shapes that do not match.
    """
    x, y = np.asarray(x), np.asarray(y)
    known = [axis for axis in axes.strip("()").split(", ") if axis != "..."]
    fits = x.ndim >= len(known) if "..." in axes else x.ndim == len(known)
    same = x.shape == y.shape if same_width else x.shape[:-1] == y.shape[:-1] and x.ndim == y.ndim
    if not (fits and same and x.size and y.size and x.shape[-2] > 1):
        raise MeasureError(
            f"{names[0]} and {names[1]} have shapes {x.shape} and {y.shape}; expected twice {axes} with at "
            f"least 2 rows{'' if same_width else ' (widths may differ)'}, row i of both being the same item. "
            "Leave out items and layers that only one of them has."
        )
    return x, y


def finite(name: str, values, dtype: type | None = np.float64) -> np.ndarray:
    """The values as an array of `dtype` (None keeps their own).

    Raises
    ------
    MeasureError : values are NaN or infinite; the first one is named.
    """
    values = np.asarray(values, dtype)
    bad = ~np.isfinite(values)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise MeasureError(
            f"{name} holds {int(bad.sum())} NaN or infinite values, first at index {first}; leave out that "
            "layer or item, or capture it in float32."
        )
    return values


def group_codes(groups, n: int, *, least: int = 1) -> np.ndarray:
    """Number of the group of each item, (n,) int from 0 in sorted order of the labels.

    Parameters
    ----------
    groups : (n,) labels; None takes every item as its own group.
    least : number of groups that are needed.

    Raises
    ------
    MeasureError : another number of labels than items, or too few groups.
    """
    groups = np.arange(n) if groups is None else np.asarray(groups)
    if groups.shape != (n,):
        raise MeasureError(f"groups has shape {groups.shape}, expected ({n},); give one label per item.")
    codes = np.unique(groups, return_inverse=True)[1]
    if n and codes.max() + 1 < least:
        raise MeasureError(
            f"found {codes.max() + 1} groups, expected at least {least}. Give the scenario of each item, or "
            "groups=None if every item stands for itself."
        )
    return codes
