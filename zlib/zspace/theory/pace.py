"""Conjecture 5, how the size of contributions sets the pace at which the snr falls: closed forms and stacks.

Orthogonal case of theorem 2: no cross-terms, every layer adds sigma^2 to D_diff and q sigma^2 to D_same, so
that

    r_k = (r_0 + q k s) / (1 + k s),    s = gain^2 sigma^2 / D_diff(0),

moves from r_0 towards q, the faster the larger the gain. Depth is the first state whose snr lies below a
threshold. States are (L+1, n, d), one array per language, row i of both the same item.
"""

import numpy as np

from .descent import disjoint_stack


def pace_snr(r_0: float, q, step: float, n_layers: int, *, gain=1.0) -> np.ndarray:
    """snr (..., L+1) of every state where all layers have quality q and add gain^2 `step` times D_diff(0).

    Parameters
    ----------
    r_0 : snr of state 0.  step : sigma^2 / D_diff(0) at gain 1.
    q, gain : numbers or (...) arrays; E|delta|^2 / sigma^2, and the factor that scales all contributions.

    Raises
    ------
    ValueError : a negative number, or no layer.
    """
    q, gain = np.asarray(q, float)[..., None], np.asarray(gain, float)[..., None]
    if min(r_0, step, q.min(), gain.min()) < 0 or n_layers < 1:
        raise ValueError(
            f"r_0={r_0:g}, step={step:g}, n_layers={n_layers}, least q={q.min():g}, least gain="
            f"{gain.min():g}; expected at least one layer and no negative number."
        )
    added = np.arange(n_layers + 1) * gain**2 * step
    return (r_0 + q * added) / (1 + added)


def first_below(snr, threshold: float) -> np.ndarray:
    """(...) index of the first state (..., L+1) whose snr lies below the threshold; -1 where none does.

    Examples
    --------
    >>> first_below(pace_snr(1.6, 0.8, 0.2, 40, gain=[1, 1.5, 2]), 0.99).tolist()
    [17, 8, 5]
    """
    below = np.asarray(snr) < threshold
    return np.where(below.any(-1), below.argmax(-1), -1)


def pace_stack(
    n_items: int,
    *,
    rng: np.random.Generator,
    r_0: float = 1.6,
    q: float = 0.8,
    step: float = 0.2,
    gain: float = 1.0,
    n_layers: int = 24,
    width: int = 24,
) -> tuple[np.ndarray, np.ndarray]:
    """States of two languages with the snr of `pace_snr` in expectation: (L+1, n_items, (L+1) width) each.

    Layers write to disjoint coordinates, so that no cross-term exists. State 0 shares nothing but is apart by
    an offset, which gives r_0 >= 1; every layer adds numbers of which the share 1 - q is common to both
    languages.

    Raises
    ------
    ValueError : r_0 < 1, or q outside 0 to 1: such stacks need more than an offset and a common part.
    """
    if r_0 < 1 or not 0 <= q <= 1:
        raise ValueError(f"r_0={r_0:g}, q={q:g}; expected r_0 >= 1 and q between 0 and 1.")
    common = np.r_[0.0, np.full(n_layers, 1 - q)]
    scale = np.r_[1.0, np.full(n_layers, gain * np.sqrt(step))]
    # D_diff(0) is 2 width, and the offset is all that D_same(0) has beyond it
    return disjoint_stack(n_items, scale, common, rng=rng, width=width, offset=np.sqrt(2 * (r_0 - 1)))


def prove_pace() -> dict[str, "sympy.Expr"]:  # noqa: F821
    """Conjecture 5 in symbols: residues that are zero if and only if the statement of the pace is right.

    "step" (the closed form obeys r' = r + w (q - r), w the share of the layer in D_diff'), "activity" (the
    derivative in gain^2 is q - r_0 times a positive factor), "quality" (the derivative in q is a positive
    factor) and "depth" (at k = (r_0 - t) / ((t - q) s) the snr is the threshold t).
    """
    import sympy

    start, q, k, s, t = sympy.symbols("r_0 q k s t", positive=True)

    def snr(layers, size=s):
        return (start + q * layers * size) / (1 + layers * size)

    weight = s / (1 + (k + 1) * s)
    crossing = (start - t) / ((t - q) * s)
    residues = {
        "step": snr(k + 1) - snr(k) - weight * (q - snr(k)),
        "activity": sympy.diff(snr(k), s) - (q - start) * k / (1 + k * s) ** 2,
        "quality": sympy.diff(snr(k), q) - k * s / (1 + k * s),
        "depth": snr(crossing) - t,
    }
    return {name: sympy.simplify(residue) for name, residue in residues.items()}
