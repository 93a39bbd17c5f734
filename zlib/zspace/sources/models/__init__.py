# ruff: noqa: F401 (names to be imported from here)
"""Language models: loaded, verified, tokenised, and their baselines with other weights.

`subject` lists the variants of a model; `language_model` holds the type and what identifies its numbers.
`contents` knows what files hold; `weights`, `fetching` and `conversion` bring them here, `folders` refuses
what cannot be read as it is, `kinds` says what a model is. `blocks` finds its parts and hooks them, `loading`
reads it, `completeness` and `verification` check it, along the `residual_paths` through its blocks.
`baselines` makes its controls; `rounding` knows how far quantised weights may be off; `tuned` reads what was
left beside a model that was tuned here. Importing this package imports neither torch nor transformers.
"""

from .baselines import permuted_embeddings_twin, random_blocks_twin, random_twin, re_rounded_twin, twin
from .blocks import ReducingHooks
from .kinds import Kind, describe
from .language_model import LanguageModel, end_tokens, identity, possible, tokenize
from .loading import load
from .subject import KINDS, TRAINED, Subject, kind_of
