# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explore: which stories find their translation, at which layer, and which do not
#
# Change the parameters and run all. Then use the slider and the lists below. States that were captured before are read,
# so that this opens in seconds. Everything drawn keeps working without a kernel.

# %% tags=["parameters"]
model = "gemma-3-270m"  # name in params/models.yaml, hub id, folder, or name of imported states
corpus = "number-stories"  # name, hub id, folder or file
version = ""  # "spelled-out" or "digits", "masked" or "as-is" for other corpora; "" takes the first that fits
languages = "en,zh,fr,sw"  # the first one is the anchor
n_scenarios = 15  # scenarios of number-stories
n_draws = 2  # items per scenario
difficulty = 2  # operations per item
padding = "none"  # sentences that change nothing: "none", "sentences" or "numbers"
n_items = 0  # first rows of another corpus; 0 takes all
block = 1  # neighbouring rows of another corpus that belong together
seed = 0  # root of every random stream

# %%
from zspace import files
from zspace.evidence import laboratory, language_pairs
from zspace.evidence.retrieval import by_layer, figures
from zspace.evidence.retrieval.explorer import explorer

lab = laboratory.open_lab(globals(), streams=("pairs", "curves"))

# %%
texts = lab.load()
pairs = lab.open_pairs(texts, variants=language_pairs.FEW_VARIANTS)
language_pairs.surface_table(pairs)[["items", "scenarios", "confirmation scenarios"]]

# %% [markdown]
# ## Nearest neighbours and their errors
#
# Centred cosine, all items. A query errs when its nearest neighbour in the other language tells another story. The third
# column is what it should have found, with how far its cosine lies below. *Other numbers* also lists those that find the
# right story with other numbers.

# %% tags=["tol-0.03"]
explorer(pairs, texts)

# %% [markdown]
# ## Accuracy by layer
#
# The trained model over one random-weight baseline. The claim, with all its controls, is in
# `prediction_1_retrieval_by_layer`; nothing on this page is a verdict.

# %% tags=["tol-0.03"]
figures.accuracy_lines(by_layer.accuracy_curves(pairs, rng=lab.rng["curves"]))

# %% tags=["nbval-ignore-output"]
files.provenance()
