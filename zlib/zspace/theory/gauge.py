"""Corollary 1, gauge symmetry breaking: what a bottleneck of rank r leaves free.

One map W = A B, A (d, r) and B (r, d_x), has to return c (d,) from x = T_l c; moments S, M and the best
unrestricted map W* as in `agreement`. For a given span of A, with projector P, the best B gives the loss
energy - tr(P G), G = M' S^-1 M, so that the optima are the leading eigenspaces of G (Ky Fan 1949,
PNAS 35: the r largest eigenvalues). All spans are equally good where G is a multiple of the identity, as for
one language with Cov(c) = I, whatever its T of full column rank; the span is unique if and only if
rho_r > rho_(r+1). A B = (A g^-1)(g B) for every invertible g (r, r): r^2 directions stay flat in any case.
"""

import numpy as np

from .agreement import Moments, map_loss, optimum_of


def bottleneck_loss(left, right, found: Moments) -> np.ndarray:
    """Loss of A B: left (..., d, r), right (..., r, d_x); returns (...)."""
    return map_loss(np.asarray(left, float) @ np.asarray(right, float), found)


def bottleneck_optimum(found: Moments, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """One optimum A (d, r), B (r, d_x) of a bottleneck: the leading directions, and W* read along them.

    Raises ValueError where rank is not between 1 and the number of directions.
    """
    best = optimum_of(found)
    if not 1 <= rank <= len(best.agreement):
        raise ValueError(f"rank={rank}; expected 1 to {len(best.agreement)}, the number of directions.")
    left = best.directions[:, :rank]
    return left, left.T @ best.weight


def bottleneck_hessian(left, right, found: Moments) -> np.ndarray:
    """Second derivatives of the loss in the entries of A, then of B (row by row): (r (d + d_x),) squared.

    With A + dA and B + dB the second-order part of the loss is |(dA B + A dB) S^(1/2)|^2
    + 2 tr((A B S - M') (dA dB)'), of which this is the matrix, times two.
    """
    left, right = np.asarray(left, float), np.asarray(right, float)
    (d, rank), d_x = left.shape, right.shape[1]
    root = np.linalg.cholesky(found.second)
    jacobian = np.hstack([np.kron(np.eye(d), (right @ root).T), np.kron(left, root.T)])
    residual = left @ right @ found.second - found.cross.T
    # d^2 of tr(residual' dA dB): entry (a, i) of A meets entry (j, b) of B where i = j
    mixed = np.einsum("ab,ij->aijb", residual, np.eye(rank)).reshape(d * rank, rank * d_x)
    hessian = 2 * jacobian.T @ jacobian
    hessian[: d * rank, d * rank :] += 2 * mixed
    hessian[d * rank :, : d * rank] += 2 * mixed.T
    return hessian


def nullity(hessian, *, tolerance: float = 1e-9) -> int:
    """Number of eigenvalues that are zero relative to the largest one in size."""
    values = np.abs(np.linalg.eigvalsh(hessian))
    return int((values <= tolerance * values.max()).sum())


def orbit_losses(found: Moments, bases) -> np.ndarray:
    """Loss of the best map through every span: bases (B, d, r) with orthonormal columns; returns (B,).

    A basis of Haar measure is what `scipy.stats.ortho_group` gives, cut to r columns.
    """
    bases = np.asarray(bases, float)
    weight = optimum_of(found).weight
    return map_loss(bases @ (np.swapaxes(bases, -1, -2) @ weight), found)


def subspace_overlap(bases) -> np.ndarray:
    """tr(P_i P_j) / r of every two of B spans, each basis (d, r) of full rank but not orthonormal: (pairs,).

    1 for equal spans; r / d in the mean for independent ones of Haar measure.
    """
    bases = np.asarray(bases, float)
    orthonormal = np.linalg.qr(bases)[0]
    rank = bases.shape[-1]
    first, second = np.triu_indices(len(bases), 1)
    inner = np.swapaxes(orthonormal[first], -1, -2) @ orthonormal[second]
    return (inner**2).sum((-2, -1)) / rank


def prove_gauge_breaking() -> dict[str, "sympy.Expr"]:  # noqa: F821
    """Corollary 1 in symbols, for a bottleneck of rank one in two dimensions with G = diag(g1, g2).

    Residues that vanish if it is right: "span", the loss of the best map through (cos t, sin t) against
    energy - tr(P G), for a general second moment S; "orbit", its derivative along the circle of spans
    against (g1 - g2) sin 2t, zero for all t if and only if g1 = g2; "internal", the loss after A -> A/g,
    B -> gB against the loss before.
    """
    import sympy

    t, g = sympy.symbols("t g", real=True)
    a, b, c, energy = sympy.symbols("a b c E", real=True)
    cross = sympy.Matrix(2, 2, sympy.symbols("m1:5", real=True))
    second = sympy.Matrix([[a, b], [b, c]])
    best = cross.T * second.inv()

    def loss(weight):
        return energy + (weight * second * weight.T - 2 * weight * cross).trace()

    span = sympy.Matrix([sympy.cos(t), sympy.sin(t)])
    projector = span * span.T
    through = loss(projector * best) - (energy - (projector * best * cross).trace())
    g1, g2 = sympy.symbols("g1 g2", real=True)
    orbit = sympy.diff(energy - (projector * sympy.diag(g1, g2)).trace(), t) - (g1 - g2) * sympy.sin(2 * t)
    left, right = sympy.Matrix(2, 1, sympy.symbols("u1:3")), sympy.Matrix(1, 2, sympy.symbols("v1:3"))
    return {
        "span": sympy.simplify(sympy.factor(through)),  # a fifth of the time of simplifying it as it is
        "orbit": sympy.simplify(orbit),
        "internal": sympy.simplify(loss((left / g) * (g * right)) - loss(left * right)),
    }
