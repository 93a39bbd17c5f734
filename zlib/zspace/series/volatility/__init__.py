"""Volatility clustering of update energies: the multiplicative error model and its tests (`mem`), planted
truth (`planted`), and what position, token class and surprisal explain (`profiles`).
"""

from .mem import (
    DECAYS,
    MIN_STEPS,
    MemFit,
    arch_lm_test,
    fit_mem,
    ljung_box_test,
    momentum,
    pooled_test,
    require_series,
    sup_score_test,
)

__all__ = [
    "DECAYS",
    "MIN_STEPS",
    "MemFit",
    "arch_lm_test",
    "fit_mem",
    "ljung_box_test",
    "momentum",
    "pooled_test",
    "require_series",
    "sup_score_test",
]
