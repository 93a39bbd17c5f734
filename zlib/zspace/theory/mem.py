r"""The multiplicative error model and GARCH: one likelihood, and what it leaves open.

Symbols: y > 0 a squared norm, mu its conditional mean, mu_t = m (1 - alpha - beta) + alpha y_{t-1} + beta
mu_{t-1} with unconditional mean m. The Gaussian GARCH(1,1) log-likelihood of +-sqrt(y) is half the
exponential one of y, minus half of log 2 pi per step; and where alpha is 0 and the mean starts at m, beta
changes nothing.

Source: Engle (2002), "New Frontiers for ARCH Models", J. Applied Econometrics 17, equations 7-10.
"""


def prove_mem() -> dict:
    """Residues of both identities, zero where they hold: name -> SymPy expression."""
    import sympy as sp

    y, mu, m = sp.symbols("y mu m", positive=True)
    alpha, beta = sp.symbols("alpha beta", nonnegative=True)
    gaussian = -(sp.log(2 * sp.pi) + sp.log(mu) + sp.sqrt(y) ** 2 / mu) / 2
    exponential = -sp.log(mu) - y / mu
    step = m * (1 - alpha - beta) + alpha * y + beta * mu
    unidentified = sp.diff(step.subs(alpha, 0).subs(mu, m), beta)
    past = sp.Symbol("past", positive=True)
    scored = sp.diff(-sp.log(m + alpha * past) - y / (m + alpha * past), alpha).subs(alpha, 0)
    return {
        "same_argmax": sp.simplify(gaussian - exponential / 2 + sp.log(2 * sp.pi) / 2),
        "beta_unidentified": sp.simplify(unidentified),
        # the score of alpha is the relative error of this step times the weighted past over m
        "score": sp.simplify(scored - (y / m - 1) * past / m),
    }
