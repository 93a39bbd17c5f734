# ruff: noqa: F401 (names to be imported from here)
"""Small networks trained on problems whose answer is known.

`linear`: deep linear nets on exact moments, in float64 NumPy. `stacked`: nonlinear nets on synthetic worlds,
all configurations and seeds as one stack, in torch. `kept`: such stacks on disk.
torch is imported by the functions that need it.
"""

from .kept import ensure, load, save
from .linear import LinearNetworks, train_greedily, train_linear
from .stacked import Recipe, TrainedBatch, outputs, states, train
