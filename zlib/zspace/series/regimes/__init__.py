"""Regimes of one series: parameters and the exact filter (`hamilton`), fits and the test against one regime
(`switching`), particle filters of other hidden states (`particles`), change points and events (`changes`).
"""

from .changes import change_points, event_test
from .hamilton import (
    FilteredRegimes,
    RegimeParams,
    filtered_probabilities,
    simulate_regimes,
    smoothed_probabilities,
)
from .particles import (
    LinearGaussian,
    ParticleFilter,
    RegimeModel,
    StochasticVolatility,
    fit_stochastic_volatility,
    particle_filter,
)
from .switching import RegimeFit, fit_switching, number_of_regimes

__all__ = [
    "FilteredRegimes",
    "LinearGaussian",
    "ParticleFilter",
    "RegimeFit",
    "RegimeModel",
    "RegimeParams",
    "StochasticVolatility",
    "change_points",
    "event_test",
    "filtered_probabilities",
    "fit_stochastic_volatility",
    "fit_switching",
    "number_of_regimes",
    "particle_filter",
    "simulate_regimes",
    "smoothed_probabilities",
]
