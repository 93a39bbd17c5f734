"""Language models: loaded, verified, tokenised, and their baselines with other weights.

`language_model` holds the type and what identifies a model's numbers, `weights` and `fetching` bring its
files here, `blocks` finds its parts and hooks them, `loading` reads and `verification` checks it, `baselines`
makes the controls of everything measured on it, `rounding` knows how far quantised weights may be off.
Importing this package imports neither torch nor transformers.
"""

from .baselines import permuted_embeddings_twin, random_blocks_twin, random_twin, re_rounded_twin, twin
from .blocks import ReducingHooks
from .language_model import VARIANTS, LanguageModel, identity, longest_context, tokenize
from .loading import load

__all__ = [
    "VARIANTS",
    "LanguageModel",
    "ReducingHooks",
    "identity",
    "load",
    "longest_context",
    "permuted_embeddings_twin",
    "random_blocks_twin",
    "random_twin",
    "re_rounded_twin",
    "tokenize",
    "twin",
]
