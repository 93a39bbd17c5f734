"""Regimes of one series: parameters and the exact filter (`hamilton`), fits and the test against one regime
(`switching`), particle filters of other hidden states (`particles`), change points and events (`changes`).
"""

# ruff: noqa: F401
from .changes import change_points, event_test
from .hamilton import FilteredRegimes, RegimeParams, filtered_probabilities, smoothed_probabilities
from .particles import RegimeModel, StochasticVolatility, fit_stochastic_volatility, particle_filter
from .switching import RegimeFit, fit_switching, number_of_regimes
