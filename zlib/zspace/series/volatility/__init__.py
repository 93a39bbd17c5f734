"""Volatility clustering of update energies: the multiplicative error model and its tests (`mem`), planted
truth (`planted`), and what position, token class and surprisal explain (`profiles`).
"""

# ruff: noqa: F401
from .mem import (
    MemFit,
    arch_lm_test,
    fit_mem,
    ljung_box_test,
    momentum,
    momentum_within,
    pooled_test,
    sup_score_test,
)
