# ruff: noqa: F401 (names to be imported from here)
"""Synthetic worlds: languages that show the same problems through different maps, with everything known.

`world`: what a world is, and items drawn from it. `bounds`: what the best classifier of the language and the
best predictor of the target can do, analytically or by Monte Carlo. NumPy only.
"""

from .bounds import bayes_language_accuracy, bayes_predictions, bayes_task_r2, language_posterior
from .world import LATENTS, World, replicate
