"""Small networks trained on problems whose answer is known.

`linear`: deep linear nets on exact moments, in float64 NumPy. `stacked`: nonlinear nets on synthetic worlds,
all configurations and seeds as one stack, in torch. `kept`: such stacks on disk.
torch is imported by the functions that need it.
"""

from .kept import ensure, load, save
from .linear import INITS, LinearNetworks, train_greedily, train_linear
from .stacked import Recipe, TrainedBatch, outputs, states, train

__all__ = [
    "INITS",
    "LinearNetworks",
    "Recipe",
    "TrainedBatch",
    "ensure",
    "load",
    "outputs",
    "save",
    "states",
    "train",
    "train_greedily",
    "train_linear",
]
