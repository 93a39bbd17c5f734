"""Conjecture 3, double suppression: how the layers of a deep linear net divide the work of one map.

Our reading of it: theorem 1 applied to each layer by itself, so that every layer has singular values
sqrt(rho) and contributes little where the languages conflict. In a net W = W_L ... W_1 on white inputs that
gradient descent trains from balanced weights, W_(k+1)' W_(k+1) = W_k W_k' is conserved (Arora, Cohen & Hazan
2018, ICML; Saxe, McClelland & Ganguli 2014, ICLR), so that all layers share the singular values
rho^(1/(2L)), whose product is sqrt(rho), where training reaches the minimum. In a residual net W_k = I + A_k
started at A_k = 0, with a symmetric positive target in the basis of the stream, A_k has the eigenvalues
rho^(1/(2L)) - 1: largest in size where the languages conflict most.
"""

import numpy as np


def layer_spectrum(agreement, n_layers: int) -> np.ndarray:
    """Singular values (d,) of each layer of a balanced net, rho^(1/(2L)).

    Examples
    --------
    >>> layer_spectrum([1.0, 0.0625], 2).tolist()
    [1.0, 0.5]
    """
    agreement = np.asarray(agreement, float)
    if n_layers < 1 or agreement.ndim != 1 or not ((agreement >= 0) & (agreement <= 1)).all():
        raise ValueError(
            f"n_layers={n_layers}, agreement={agreement}; expected at least one layer and (d,) ratios in "
            "[0, 1] (shares that sum to one)."
        )
    return agreement ** (1 / (2 * n_layers))


def contribution_energy(agreement, n_layers: int) -> np.ndarray:
    """E|delta|^2 summed over the layers of a residual net, by direction, for `whitened_pair`: (d,).

    Direction i enters with 4 (1 - rho_i) between the languages, is multiplied by lambda = rho^(1/(2L)) in
    every layer, and layer k adds (lambda - 1) lambda^k of it.
    """
    factor = layer_spectrum(agreement, n_layers)
    powers = factor[:, None] ** (2 * np.arange(n_layers))
    return 4 * (1 - np.asarray(agreement, float)) * (factor - 1) ** 2 * powers.sum(1)


def suppression_stack(
    n_items: int,
    *,
    log_gain_ratio: float,
    rng: np.random.Generator,
    n_layers: int = 6,
    width: int = 4,
    dim: int = 64,
    gain: float = 0.2,
    noise: float = 0.05,
    scenario=None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""States whose layers write with a known strength into Z and Z_perp: (L+1, n_items, dim) each.

    The state is a rotation of `width` coordinates that both languages share but for a tenth of their
    variance, as many that are unrelated, and unrelated `noise` in all dimensions. Every layer adds fresh
    coordinates of the same kinds, noise with `gain` and the others of variance relative to the state's

    .. math:: g_Z = gain\, e^{\lambda/2}, \quad g_\perp = gain\, e^{-\lambda/2}

    with lambda = `log_gain_ratio`, so that "suppression in Z_perp" holds for positive and is reversed for
    negative values, while the languages' contributions agree in Z alone in any case. With labels `scenario`
    (n_items,), half of the variance of all coordinates is common to a scenario.
    """
    turn, draws = rng.spawn(2)
    basis = np.linalg.qr(turn.standard_normal((dim, 2 * width)))[0]
    gains = gain * np.exp([log_gain_ratio / 2, -log_gain_ratio / 2])

    label = np.arange(n_items) if scenario is None else np.unique(scenario, return_inverse=True)[1]

    def normal(n_languages: int, n: int) -> np.ndarray:
        """Items (n_languages, n_items, n), correlated by half within a scenario."""
        common = draws.standard_normal((n_languages, label.max() + 1, n))[:, label]
        if scenario is None:
            return common
        return np.sqrt(0.5) * (common + draws.standard_normal(common.shape))

    def coordinates() -> np.ndarray:
        shared, own = normal(1, width), normal(2, 2 * width)
        own[..., :width] = np.sqrt(0.9) * shared + np.sqrt(0.1) * own[..., :width]
        return own

    state, size = coordinates(), np.ones(2)
    rest = noise * draws.standard_normal((2, n_items, dim))
    path = [state @ basis.T + rest]
    for k in range(n_layers):
        state = state + np.repeat(np.sqrt(gains * size), width) * coordinates()
        size = size * (1 + gains)
        rest = rest + noise * np.sqrt(gain * (1 + gain) ** k) * draws.standard_normal(rest.shape)
        path.append(state @ basis.T + rest)
    h1, h2 = np.stack(path, axis=1)
    return h1, h2


def prove_layer_spectrum() -> dict[str, "sympy.Expr"]:  # noqa: F821
    """Conjecture 3's corrected form in symbols: residues that vanish if it is right.

    "balanced": W_2' dW_2/dt = dW_1/dt W_1' under the gradient flow of |W_2 W_1 - target|^2, differentiated
    entry by entry for two by two matrices, so that W_2' W_2 - W_1 W_1' is conserved; "spectrum": L equal
    factors (L = 4) of product sqrt(rho) are rho^(1/(2L)); "reversed": the derivative of |A_k| in rho against
    -rho^(1/(2L) - 1)/(2L), which is negative: contributions grow as agreement falls.
    """
    import sympy

    first, last, target = (sympy.Matrix(2, 2, sympy.symbols(f"{n}1:5", real=True)) for n in "abt")
    loss = sum(entry**2 for entry in last * first - target)
    flow_first, flow_last = (-w.applyfunc(lambda entry: sympy.diff(loss, entry)) for w in (first, last))
    conserved = last.T * flow_last - flow_first * first.T
    rho, n_layers, factor = sympy.symbols("rho L lambda", positive=True)
    root = sympy.solve(sympy.Eq(factor**4, sympy.sqrt(rho)), factor)
    size = 1 - rho ** (1 / (2 * n_layers))  # |A_k| for rho in (0, 1)
    slope = sympy.diff(size, rho) + rho ** (1 / (2 * n_layers) - 1) / (2 * n_layers)
    return {
        "balanced": sum(sympy.expand(e) ** 2 for e in conserved),
        "spectrum": sympy.simplify(root[0] - rho ** sympy.Rational(1, 8)),
        "reversed": sympy.simplify(slope),
    }
