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
# # Controls: what could look like a shared space without being one
#
# Before a result on a language model is believed, it has to survive these controls. Each section asks one question, says
# what would be worrying, and shows the numbers for this model, this corpus and these languages. Nothing is judged here:
# the notebook of a claim compares with these controls by its rule.
#
# *Retrieval* means the same everywhere. The nearest item of the other language, by centred cosine, tells the same story
# (mean of both directions). Layers and means come from discovery scenarios, the numbers from the others.

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
n_random = 3  # random-weight baselines: the more there are, the less their spread counts
n_re_rounded = 0  # times that quantised weights are re-rounded
sinks = False  # capture the median and trimmed poolings too, where they are not there yet

# %%
from zspace import files
from zspace.evidence import laboratory, language_pairs
from zspace.evidence.retrieval import control_figures, controls

lab = laboratory.open_lab(globals(), streams=("pairs", "peaks", "shuffles", "poolings", "re-roundings"))

# %%
texts = lab.load()
pairs = lab.open_pairs(texts)
language_pairs.surface_table(pairs)[["items", "scenarios", "confirmation scenarios"]]

# %% [markdown]
# ## Surface: length, fertility, overlap
#
# Translations of like length, with shared names and shared tokens, find each other without any meaning. *Premium* is
# the number of tokens over that of the first language's text. *Own overlap* is the share of tokens (Jaccard) that a
# text and its translation have in common. The last two columns are retrieval by surface alone. Worrying: one of them
# near that of the model.

# %% tags=["tol-0.03"]
controls.surface_by_language(texts, pairs).round(3)

# %% [markdown]
# All pairs of languages, the first one included. Chinese and Japanese write numbers with the same characters. A pair of
# these two is no evidence on stories with numbers.

# %%
control_figures.overlap_map(controls.overlap_matrix(pairs, texts.languages[0]))

# %% [markdown]
# ## Length and difficulty
#
# A harder story has more sentences. Two padded variants take that away: sentences that change nothing, and sentences
# that change nothing with one number each. One row per padding and difficulty: characters, mean over the built-in
# stories, whatever the corpus above. Worrying: rows of one padding that differ.

# %%
controls.lengths_by_difficulty([code for code in texts.languages if code in controls.STORY_LANGUAGES]).round(0)

# %% [markdown]
# ## Baselines: is it learned, and where?
#
# - *Random weights* show what architecture and tokens do alone.
# - *Random blocks* show what the trained embeddings give.
# - *Permuted embeddings* show what trained blocks do with the wrong rows.
# - The *shuffled pairing* keeps length and overlap.
#
# Worrying: any of them near the trained model.

# %% tags=["tol-0.05"]
subjects = controls.subjects_at_peak(pairs, rng=lab.rng["peaks"])
control_figures.subject_map(subjects)

# %% tags=["tol-0.05"]
subjects.set_index(["language", "subject"]).round(3)

# %% [markdown]
# ## Stratified shuffles: is there anything at all?
#
# Pairings are shuffled within thirds of length and halves of overlap. The largest layer is compared with the largest
# shuffled layer (max-T, one language at a time; the claim's notebook adds Holm). `null_high` is the 95 % point of the
# shuffles. Worrying: an accuracy below it.

# %% tags=["tol-0.03"]
found = controls.stratified_shuffles(pairs, rng=lab.rng["shuffles"])
found.groupby("language", sort=False).agg({"accuracy": "max", "null_high": "max", "p_max": "min"}).round(3)

# %% [markdown]
# ## Language identity: aligned is not the same
#
# A linear probe tells the two languages apart on held-out items, by layer. Languages that retrieve each other may still
# be told apart at every layer: sharing leaves a remainder.
#
# Retrieval centres each language. That removes the offset, and with it all that a linear probe could use. What a
# Gaussian-kernel classifier then still tells is a difference in how the states spread.

# %% tags=["tol-0.05"]
control_figures.identity_curves(controls.language_identity(pairs))

# %% [markdown]
# ## Attention sinks: one token in the average
#
# The first token and a few others can be far longer than the rest (Xiao et al. 2024, arXiv 2309.17453; Sun et al. 2024,
# arXiv 2402.17762). They can decide an average.
#
# *Trimmed* leaves out the first content token and the tenth of the tokens with the largest norms. *Median* takes each
# coordinate's middle. `distance` is how far that moves the pooled state, in its own length. Worrying: retrieval that
# changes with it. Poolings that nobody captured have no row.

# %% tags=["tol-0.05"]
others = controls.open_poolings(model, texts, rng=lab.rng["poolings"], capture_missing=sinks)
pooled = controls.sinks(pairs, others)
control_figures.sink_curves(pooled)

# %% tags=["tol-0.05"]
pooled.groupby(["language", "pooling"], sort=False).agg({"retrieval": "max", "distance": "max"}).round(3)

# %% [markdown]
# ## Rounding of the weights
#
# Quantised weights are known only to half a step. The table has the excess of claim `prediction_1_aligned` on weights
# drawn anew within their steps. Worrying: an excess that crosses the bound of that claim, whose verdict is then
# `inconclusive`. The test is pessimistic: drawn weights lie about $\sqrt 2$ times as far from the original ones as the
# stored weights do. Where weights were not re-rounded in this run, there is one row per language.

# %% tags=["tol-0.05"]
controls.re_roundings(pairs, rng=lab.rng["re-roundings"]).set_index(["language", "weights"]).round(3)

# %% [markdown]
# ## What this shows, and what it does not
#
# These are the alternatives that were thought of. A result that survives them is not thereby a shared space: the topic
# of a story is enough for retrieval between scenarios.
#
# What would change this page: a control that nobody has named yet.

# %% tags=["nbval-ignore-output"]
files.provenance()
