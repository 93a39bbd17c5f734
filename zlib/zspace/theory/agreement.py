"""Theorem 1, the agreement spectrum: what one linear map learns from several languages at once.

The note's derivation is lost; this is our reading. Language l shows the latent c (d,) as x = T_l c, one map W
has to return c from every x, and the squared error of language l counts with weight `share` alpha_l > 0;
A = sum alpha_l. The languages enter through two moments only, S = sum alpha_l T_l T_l' and
M = sum alpha_l T_l (for Cov(c) = I), and the best map is W* = M' S^-1. Its agreement ratios rho, the
eigenvalues of M' S^-1 M in [0, A], say how much of each direction of c survives; for A = 1 they are the
squared canonical correlations of x and c (Hotelling 1936, Biometrika 28).

Where all T_l = U diag(z_l) V', direction i has m_i = sum alpha_l z_li and s_i = sum alpha_l z_li^2, the
coefficient w_i = m_i / s_i and rho_i = m_i^2 / s_i.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ..errors import UndefinedAgreementWarning


@dataclass(frozen=True)
class Moments:
    """All that a squared loss sees of several languages.

    Attributes
    ----------
    second : (d_x, d_x) S = sum_l share_l E[x x'], input units squared.
    cross : (d_x, d_y) M = sum_l share_l E[x y'].
    energy : sum_l share_l E|y|^2, the loss of the map that is zero.
    """

    second: np.ndarray
    cross: np.ndarray
    energy: float


@dataclass(frozen=True)
class LinearOptimum:
    """The best linear map and its agreement spectrum, r = min(d_x, d_y) directions, largest first.

    Attributes
    ----------
    weight : (d_y, d_x) W* = M' S^-1.
    agreement : (r,) rho_i, the squared singular values of W* S^(1/2).
    directions : (d_y, r) orthonormal columns in the space of the target; the first span Z.
    canonical : (d_x, r) columns that read each direction off the input with unit second moment.
    loss : the minimum of the loss, energy - sum rho.
    """

    weight: np.ndarray
    agreement: np.ndarray
    directions: np.ndarray
    canonical: np.ndarray
    loss: float


def agreement_ratio(z, share) -> np.ndarray:
    r"""Agreement ratio of every direction, between 0 (the languages cancel) and A (all alike).

    .. math:: \rho_i = (\sum_l \alpha_l z_{li})^2 / \sum_l \alpha_l z_{li}^2, \quad A = \sum_l \alpha_l

    Parameters
    ----------
    z : (K, d) size of direction i in language l, any sign.
    share : (K,) positive weights; they need not sum to one.

    Returns
    -------
    (d,) rho; NaN, with an UndefinedAgreementWarning, where no language has the direction.

    Raises
    ------
    ValueError : z is not (K, d), holds NaN or infinities, or a share is not positive.

    Examples
    --------
    >>> agreement_ratio([[1, 1, 2], [1, -1, 0]], [0.5, 0.5]).tolist()
    [1.0, 0.0, 0.5]
    """
    z, share, scale = _coordinates(z, share)
    total = share.sum()
    first, second = (share / total) @ z, (share / total) @ z**2
    with np.errstate(invalid="ignore"):
        return _where_used(total * first**2 / second, scale)


def optimal_coefficients(z, share) -> np.ndarray:
    """Coefficients w_i = m_i / s_i (d,) of the best map diag(w); NaN, with a warning, as `agreement_ratio`.

    Examples
    --------
    >>> optimal_coefficients([[2, 0.1], [2, 0.1]], [0.5, 0.5]).tolist()
    [0.5, 10.0]
    """
    z, share, scale = _coordinates(z, share)
    share = share / share.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return _where_used((share @ z) / (share @ z**2) / scale, scale)


def moments(transforms, share, *, covariance=None, target=None) -> Moments:
    """Moments of x = T_l c with target y = R c.

    Parameters
    ----------
    transforms : (K, d_x, d) T_l. Items as latents: a (n, d_x) matrix X_l of states of n items gives
        T_l = X_l' / sqrt(n), c being sqrt(n) times the indicator of an item drawn at random.
    share : (K,) positive weights.
    covariance : (d, d) Cov(c); None takes the identity.
    target : (d_y, d) R; None takes the identity.

    Raises
    ------
    ValueError : a shape does not fit, an entry is not finite, a share is not positive, or `covariance` is
        not symmetric and positive semidefinite.
    """
    transforms = np.asarray(transforms, float)
    if transforms.ndim != 3 or not np.isfinite(transforms).all():
        raise ValueError(
            f"transforms has shape {transforms.shape}; expected finite numbers (K, d_x, d), one per language."
        )
    share = _shares(share, len(transforms))
    shown, variance = transforms, transforms.shape[-1]
    if covariance is not None or target is not None:
        covariance, target = _latents(transforms.shape[-1], covariance, target)
        shown, variance = transforms @ covariance, np.trace(target @ covariance @ target.T)
    second = np.einsum("l,lij,lkj->ik", share, shown, transforms, optimize=True)
    cross = np.einsum("l,lij->ij", share, shown)
    cross = cross if target is None else cross @ target.T
    return Moments((second + second.T) / 2, cross, float(share.sum() * variance))


def optimal_map(transforms, share) -> LinearOptimum:
    """Best linear map for several languages and its agreement spectrum; parameters as `moments`.

    Examples
    --------
    >>> found = optimal_map([[[2, 0], [0, 1]], [[2, 0], [0, -1]]], [0.5, 0.5])
    >>> found.agreement.tolist(), found.weight.tolist(), found.loss
    ([1.0, 0.0], [[0.5, 0.0], [0.0, 0.0]], 1.0)
    """
    return optimum_of(moments(transforms, share))


def optimum_of(found: Moments) -> LinearOptimum:
    """Best linear map from its moments alone.

    Where Cov(c) is not the identity, `agreement` is the variance of the target that survives in a direction.
    Raises ValueError where S is singular, so that the map is not unique.
    """
    values, vectors = np.linalg.eigh(found.second)
    dim = len(values)
    if not values[0] > dim * np.finfo(float).eps * values[-1]:
        rank = int((values > dim * np.finfo(float).eps * max(values[-1], 0)).sum())
        raise ValueError(
            f"the second moment S of the inputs is singular: rank {rank} of {dim}, eigenvalues from "
            f"{values[0]:.2g} to {values[-1]:.2g}. Some input direction carries nothing in any language, so "
            "the best map is not unique; reduce the inputs to the directions that vary (PCA) first."
        )
    whitening = vectors / np.sqrt(values) @ vectors.T
    left, sizes, right = np.linalg.svd(whitening @ found.cross, full_matrices=False)
    return LinearOptimum(
        weight=np.linalg.solve(found.second, found.cross).T,
        agreement=sizes**2,
        directions=right.T,
        canonical=whitening @ left,
        loss=float(found.energy - (sizes**2).sum()),
    )


def map_loss(weight, found: Moments) -> np.ndarray:
    """Loss sum_l share_l E|y - W x|^2 of one map (d_y, d_x), or of a stack of them (..., d_y, d_x): (...)."""
    weight = np.asarray(weight, float)
    shape = found.cross.shape[::-1]
    if weight.shape[-2:] != shape:
        raise ValueError(f"weight has shape {weight.shape}; expected (..., {shape[0]}, {shape[1]}).")
    fitted = np.einsum("...ij,ji->...", weight, found.cross)
    size = np.einsum("...ij,jk,...ik->...", weight, found.second, weight)
    return found.energy - 2 * fitted + size


def whitened_pair(agreement) -> np.ndarray:
    """Two languages of equal share with s_i = 1 and given agreement: z (2, d).

    Their inputs are white, W* = diag(sqrt(rho)), and translations lie 4 (1 - rho_i) apart in direction i.
    Raises ValueError where an agreement is outside [0, 1].
    """
    agreement = np.asarray(agreement, float)
    if agreement.ndim != 1 or not ((agreement >= 0) & (agreement <= 1)).all():
        raise ValueError(f"agreement is {agreement}; expected (d,) numbers between 0 and 1.")
    mean, half = np.sqrt(agreement), np.sqrt(1 - agreement)
    return np.stack([mean + half, mean - half])


def prove_agreement_spectrum() -> dict[str, "sympy.Expr"]:  # noqa: F821
    """Theorem 1 in symbols: residues that vanish if its corrected statement is right.

    "square" completes the square of the loss of one direction for three languages, so that w = m/s is the
    minimum and A - rho its value (the loss is linear in the moments A, m, s: three languages stand for
    any number); "bounds" is Lagrange's identity A s - m^2 = sum of squares, hence rho <= A with equality
    if and only if the languages agree; "spectrum" says that w sqrt(s) squares to rho, while w^2 = rho / s;
    "matrix" completes the square for general maps of two dimensions, and "matrix bounds" is Lagrange's
    identity for three of them, S - M M'/A = sum of squares, so that M' S^-1 M is at most A.
    """
    import sympy

    shares, sizes = sympy.symbols("alpha1:4", positive=True), sympy.symbols("z1:4", real=True)
    w = sympy.Symbol("w", real=True)
    total, first = sum(shares), sum(a * z for a, z in zip(shares, sizes, strict=True))
    second = sum(a * z**2 for a, z in zip(shares, sizes, strict=True))
    loss = sum(a * (1 - w * z) ** 2 for a, z in zip(shares, sizes, strict=True))
    square = loss - (second * (w - first / second) ** 2 + total - first**2 / second)
    pairs = [(i, j) for i in range(3) for j in range(i)]
    lagrange = sum(shares[i] * shares[j] * (sizes[i] - sizes[j]) ** 2 for i, j in pairs)
    weight, cross = (sympy.Matrix(2, 2, sympy.symbols(f"{n}1:5")) for n in "wm")
    a, b, c = sympy.symbols("a b c")
    moment = sympy.Matrix([[a, b], [b, c]])
    off = weight - cross.T * moment.inv()
    general = (weight * moment * weight.T - 2 * weight * cross).trace()
    completed = (off * moment * off.T - cross.T * moment.inv() * cross).trace()
    return {
        "square": sympy.simplify(square),
        "bounds": sympy.expand(total * second - first**2 - lagrange),
        "spectrum": sympy.simplify((first / second) ** 2 * second - first**2 / second),
        "matrix": sympy.simplify(general - completed),
        "matrix bounds": _matrix_bounds(shares),
    }


def _matrix_bounds(shares) -> "sympy.Expr":  # noqa: F821
    """Squared norm of A S - M M' - sum_(l<k) a_l a_k (T_l - T_k)(T_l - T_k)', three 2 x 2 transforms."""
    import sympy

    maps = [sympy.Matrix(2, 2, sympy.symbols(f"{name}1:5", real=True)) for name in "tuv"]
    first = sum((a * t for a, t in zip(shares, maps, strict=True)), sympy.zeros(2))
    second = sum((a * t * t.T for a, t in zip(shares, maps, strict=True)), sympy.zeros(2))
    left = sum(shares) * second - first * first.T
    for i in range(3):
        for j in range(i):
            difference = maps[i] - maps[j]
            left -= shares[i] * shares[j] * difference * difference.T
    return sum(sympy.expand(entry) ** 2 for entry in left)


def _coordinates(z, share) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z divided by the largest entry of its direction, shares, and those entries (0: no language has it)."""
    z = np.asarray(z, float)
    if z.ndim != 2 or 0 in z.shape or not np.isfinite(z).all():
        raise ValueError(f"z has shape {z.shape}; expected finite numbers (K, d), one row per language.")
    share = _shares(share, len(z))
    scale = np.abs(z).max(0)
    # rho knows no scale, and unscaled squares of very large or small numbers are infinite or zero
    return np.divide(z, scale, out=np.zeros_like(z), where=scale > 0), share, scale


def _shares(share, n_languages: int) -> np.ndarray:
    share = np.asarray(share, float)
    if share.shape != (n_languages,):
        raise ValueError(f"share has shape {share.shape}; expected ({n_languages},), a weight per language.")
    if not (np.isfinite(share).all() and (share > 0).all()):
        raise ValueError(
            f"share is {share.tolist()}; weights must be positive, finite. Leave out a language of weight 0."
        )
    return share


def _latents(d: int, covariance, target) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and target of d latents, the identity where None."""
    covariance, target = (np.eye(d) if x is None else np.asarray(x, float) for x in (covariance, target))
    if covariance.shape != (d, d) or not np.allclose(covariance, covariance.T):
        raise ValueError(f"covariance has shape {covariance.shape}; expected a symmetric ({d}, {d}) matrix.")
    if np.linalg.eigvalsh(covariance)[0] < -1e-12 * np.trace(covariance):
        raise ValueError("covariance has a negative eigenvalue; the covariance of no latent looks like that.")
    if target.ndim != 2 or target.shape[1] != d or not np.isfinite(target).all():
        raise ValueError(f"target has shape {target.shape}; expected finite numbers with {d} columns.")
    return covariance, target


def _where_used(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The values, NaN with a warning in directions that no language has."""
    unused = np.flatnonzero(scale == 0)
    if len(unused):
        warnings.warn(
            f"no language has direction {', '.join(map(str, unused))} (all z are 0): agreement and "
            "coefficient are undefined there, NaN",
            UndefinedAgreementWarning,
            stacklevel=3,
        )
    return np.where(scale > 0, values, np.nan)
