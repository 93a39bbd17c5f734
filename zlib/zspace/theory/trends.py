r"""Relations and trends of two languages' positions through depth, and speeds without interaction.

Symbols: two languages with d coordinates each, of which m are shared, so that 2d series are stacked; a
*trend* is a coordinate whose contributions accumulate (an integrated series), a *relation* a combination of
the 2d series that does not wander: relations = 2d - rank of the loadings on the trends. The cointegration
rank counts relations. For speeds of adjustment: h, h' positions of two languages in one coordinate, f what
a layer adds to h, a = <f, h - h'> / <h - h', h - h'> the speed of the first.

Sources: Granger's representation theorem, Engle & Granger (1987), Econometrica 55; Johansen (1995),
"Likelihood-Based Inference in Cointegrated Vector Autoregressive Models", theorem 4.2.
"""

LARGEST = 4  # dimension up to which every number of shared coordinates is counted


def trend_loadings(dim: int, n_shared: int, *, specific_wanders: bool) -> "sympy.Matrix":  # noqa: F821
    """Loadings (2d, trends) of the stacked coordinates of both languages, the shared ones first in each.

    With `specific_wanders` each language's other coordinates are trends of its own, else they are stationary.
    """
    import sympy as sp

    rest = dim - n_shared
    shared = sp.Matrix.vstack(sp.eye(n_shared), sp.zeros(rest, n_shared))
    if not specific_wanders:
        return sp.Matrix.vstack(shared, shared)
    own = sp.Matrix.vstack(sp.zeros(n_shared, rest), sp.eye(rest))
    none = sp.zeros(dim, rest)
    first, second = sp.Matrix.hstack(shared, own, none), sp.Matrix.hstack(shared, none, own)
    return sp.Matrix.vstack(first, second)


def n_relations(loadings: "sympy.Matrix") -> int:  # noqa: F821
    """Number of independent combinations of the series that load on no trend."""
    return len(loadings.T.nullspace())


def prove_trends() -> dict:
    """Residues, zero where the statements hold: name -> SymPy number or expression.

    walking_remainder : relations = m where the 2(d - m) specific coordinates are trends.
    stationary_remainder : relations = 2d - m where they are stationary.
    trends : trends = 2d - relations, and none of them is a sum of others.
    mechanical_adjustment : for a shuffled pair, in coordinates of mean zero, <f, h - h'> is <f, h>, half the
    growth of the variance of h less that of f: a property of one language alone.
    """
    import sympy as sp

    residues = {"walking_remainder": 0, "stationary_remainder": 0, "trends": 0}
    for d in range(1, LARGEST + 1):
        for m in range(d + 1):
            walking, still = (trend_loadings(d, m, specific_wanders=w) for w in (True, False))
            residues["walking_remainder"] += abs(n_relations(walking) - m)
            residues["stationary_remainder"] += abs(n_relations(still) - (2 * d - m))
            residues["trends"] += sum(abs(one.cols - 2 * d + n_relations(one)) for one in (walking, still))
    h, f, other = sp.symbols("h f h'", real=True)
    # the other language's position is independent of f and h and has mean zero
    expected = sp.expand(f * (h - other)).subs(other, 0)
    residues["mechanical_adjustment"] = sp.simplify(expected - ((h + f) ** 2 - h**2 - f**2) / 2)
    return {name: sp.sympify(value) for name, value in residues.items()}
