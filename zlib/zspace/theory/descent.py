"""Theorem 2, when one layer improves the snr: its proof, its counterexample and stacks of known answer.

States are (L+1, n, d), one array per language, row i of both the same item; snr = D_same / D_diff is noise
over signal, f_k the contribution of layer k, delta_k its difference between the languages,
q_k = E|delta_k|^2 / sigma_k^2.
"""

import numpy as np


def swap_counterexample(c: float, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Two languages whose second contributions swap axes: (h1, h2), each (2, n_items, 2).

    Half of the items carry the sign s = +1, half s = -1. The first contribution is s e1 in language 1
    and s e2 in language 2, the second s c e2 and s c e1. Contributions to one input are orthogonal,
    <f_0, f_1> = 0, and E|delta_1|^2 / sigma_1^2 equals snr_0, so that the criterion without cross-terms
    predicts no change; yet snr changes as `swap_counterexample_snr` says.

    Raises
    ------
    ValueError : n_items is odd or less than 2: the signs must balance.
    """
    if n_items < 2 or n_items % 2:
        raise ValueError(f"n_items={n_items} must be even and at least 2, half of the items for each sign.")
    sign = np.resize([1.0, -1.0], n_items)[:, None]
    first, second = np.array([[1.0, 0.0], [0.0, 1.0]])
    h1 = np.stack([sign * first, sign * (first + c * second)])
    h2 = np.stack([sign * second, sign * (second + c * first)])
    return h1, h2


def swap_counterexample_snr(c: float, n_items: int) -> tuple[float, float]:
    """snr before and after the swap: (n-1)/n and (1-c)^2/(1+c^2) (n-1)/n, D_diff over distinct pairs.

    Examples
    --------
    >>> swap_counterexample_snr(1.0, 10)
    (0.9, 0.0)
    """
    distinct = (n_items - 1) / n_items
    return distinct, (1 - c) ** 2 / (1 + c**2) * distinct


def accumulation_null(
    n_items: int,
    *,
    rng: np.random.Generator,
    dim: int = 256,
    n_layers: int = 6,
    offset: float = 1.15,
    step: float = 0.45,
    common_mean: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    r"""States that share nothing although their snr falls at every layer: (L+1, n_items, dim) each.

    Every state starts as a standard normal vector of its own, plus an offset of its language, and every
    layer adds independent normal noise:

    .. math:: \mathrm{snr}_k = 1 + \frac{offset^2}{2 (1 + k\,step^2)}

    in expectation, from about 1.66 to 1.30 with the defaults, which were chosen to resemble the series
    of the note's residual run (1.663 to 1.325). D_same equals D_cross: the own translation is no nearer
    than any other item. The centred snr is 1 and |delta|/|f| is sqrt(2).

    Parameters
    ----------
    offset : distance between the languages' offsets in units of sqrt(dim).
    step : standard deviation of the added noise, per coordinate and layer.
    common_mean : size, in units of `step`, of a vector that both languages and all items add alike in
        each layer (its signs are random); it lowers |delta|/|f| to sqrt(2 / (1 + common_mean^2)).
    """
    direction = rng.standard_normal(dim)
    language = offset * np.sqrt(dim) * direction / np.linalg.norm(direction) / 2
    added = step * rng.standard_normal((2, n_layers, n_items, dim))
    added += common_mean * step * rng.choice([-1.0, 1.0], (n_layers, 1, dim))
    first = rng.standard_normal((2, 1, n_items, dim)) + np.stack([language, -language])[:, None, None]
    h1, h2 = np.cumsum(np.concatenate([first, added], axis=1), axis=1)
    return h1, h2


def random_layer_ensemble(
    n_layers: int = 1000, *, rng: np.random.Generator, n_items: int = 24, dim: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Unrelated single layers that rescale what is there: (n_layers, 2, n_items, dim) each.

    The state before is z + u_l (z shared by the languages, u_l of language l, both normal, u_l of
    log-uniform scale in [1/3, 3]); the layer adds a z + b u_l + new, with gains a, b ~ N(0, 1/4) and
    normal `new` of log-uniform scale in [1/10, 1] that the languages share to a random degree. A gain
    on what is present is all that real blocks need to leave the orthogonal case: then C_s and C_d,
    which are linear in the gains, outweigh the squares in the criterion without cross-terms.
    """
    shape = (n_layers, n_items, dim)
    column = (n_layers, 1, 1)
    scale = np.exp(rng.uniform(-np.log(3), np.log(3), column))
    novelty = np.exp(rng.uniform(-np.log(10), 0, column))
    gain_shared, gain_own = 0.5 * rng.standard_normal((2, *column))
    common = rng.uniform(0, 1, column)
    shared, new = rng.standard_normal((2, *shape))
    own, own_new = rng.standard_normal((2, 2, *shape))
    before = shared + scale * own
    added = gain_shared * shared + gain_own * scale * own
    added += novelty * (np.sqrt(common) * new + np.sqrt(1 - common) * own_new)
    h1, h2 = np.stack([before, before + added], axis=2)
    return h1, h2


def orthogonal_layers(
    n_items: int, *, rng: np.random.Generator, n_layers: int = 8, width: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """States whose layers write to disjoint coordinates: (L+1, n_items, (L+1) width) each.

    Then <Delta, delta> and its partner vanish for every item, D_same and D_diff only add up, and
    `snr_floor` holds. Each layer has a scale, and a degree of sharing, of its own.
    """
    scale, common = rng.uniform(0.2, 2, n_layers + 1), rng.uniform(0, 0.95, n_layers + 1)
    return disjoint_stack(n_items, scale, common, rng=rng, width=width)


def disjoint_stack(
    n_items: int, scale, common, *, rng: np.random.Generator, width: int, offset: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """States whose part k has `width` coordinates of its own: (L+1, n_items, (L+1) width) each.

    State k holds the parts 0 to k: normal numbers times `scale` (L+1,), of whose variance the share `common`
    (L+1,) is the same in both languages; `offset` moves state 0 of the first language in every coordinate.
    """
    scale, common = np.asarray(scale)[:, None], np.asarray(common)[:, None]
    shared = rng.standard_normal((n_items, len(scale), width))
    own = rng.standard_normal((2, n_items, len(scale), width))
    parts = scale * (np.sqrt(common) * shared + np.sqrt(1 - common) * own)
    parts[0, :, 0] += offset
    written = np.tri(len(scale))[:, None, :, None]
    return tuple((written * p).reshape(len(scale), n_items, -1) for p in parts)


def snr_floor(snr_0, q) -> np.ndarray:
    """Smallest snr that layers with ratios q (..., L) can reach if all cross-terms vanish: (...).

    snr_L is then a weighted mean of snr_0 and the q_k, so it is at least min(snr_0, min_k q_k).
    """
    return np.minimum(snr_0, np.min(q, axis=-1))


def prove_snr_criterion() -> dict[str, "sympy.Expr"]:  # noqa: F821
    """Theorem 2 in symbols: residues that are zero if and only if the corrected criterion is right.

    Distances are means over items or pairs of squared norms, hence sums over coordinates; one
    coordinate of one pair suffices by linearity. Returns SymPy expressions, each identically zero:
    "distance" (the accounting of D_same; D_diff is the same identity for another pair of vectors),
    "criterion" (snr' - snr times a positive factor, against added noise minus snr times added signal) and
    "mediant" (snr' as the mean of snr and q~ = a/b with weights 1 - w~ and w~ = b / D_diff').
    """
    import sympy

    difference, step = sympy.symbols("Delta delta", real=True)
    same, diff = sympy.symbols("D_same D_diff", positive=True)
    noise, signal = sympy.symbols("a b", real=True)
    distance = (difference + step) ** 2 - (difference**2 + step**2 + 2 * difference * step)
    # a = E|delta|^2 + C_s and b = sigma^2 + C_d; D_diff and D_diff + b are positive, so signs agree
    change = (same + noise) / (diff + signal) - same / diff
    criterion = change * (diff + signal) - (noise - same / diff * signal)
    weight = signal / (diff + signal)
    mediant = (same + noise) / (diff + signal) - ((1 - weight) * same / diff + weight * noise / signal)
    return {
        "distance": sympy.expand(distance),
        "criterion": sympy.simplify(criterion),
        "mediant": sympy.simplify(mediant),
    }
