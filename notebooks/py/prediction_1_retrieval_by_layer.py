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
# # Prediction 1. The same story in another language becomes the nearest neighbour as depth grows
#
# *Kind:* prediction on a fixed model. *Depends on:* nothing; predictions 3 and 4 build on it.
# *Source:* the first of the note's six tests; its heading is lost and inferred here.
#
# If languages share a space Z, the state of a story in one language lies next to the states of the
# same story in another, and more so in deeper layers. Two questions hide in that sentence and they
# have different nulls: **is anything aligned at all**, and **do the blocks add to it**? Both are asked
# of the story (which scenario is told); whether the very numbers can be told apart stands under
# "Sensitivity".

# %% tags=["parameters"]
model = "gemma-3-270m"  # name in params/models.yaml, hub id, folder, or name of imported states
corpus = "number-stories"  # name, hub id, folder or file
version = ""  # "spelled-out" or "digits", "masked" or "as-is" for other corpora; "" takes the first that fits
languages = "en,zh,fr,sw"  # the first one is the anchor
other_languages = "en,zh,fr,sw"  # those of the sensitivity row on the other version of the numbers
n_scenarios = 15  # scenarios of number-stories
n_draws = 2  # items a scenario
difficulty = 2  # operations an item
padding = "none"  # sentences that change nothing: "none", "sentences" or "numbers"
n_items = 0  # first rows of another corpus; 0 takes all
block = 1  # neighbouring rows of another corpus that belong together
seed = 0  # root of every random stream
n_re_rounded = 0  # times that quantised weights are re-rounded; a verdict that flips is inconclusive
n_simulations = 40  # simulated worlds of each kind for the operating characteristic

# %%
from IPython.display import display
from zspace import files
from zspace.evidence import claims, error_rates, laboratory, language_pairs, tables
from zspace.evidence.retrieval import by_layer, figures
from zspace.sources import corpora

CLAIMS = [by_layer.ALIGNED, by_layer.RISES]
lab = laboratory.open_lab(globals(), streams=("error rates", "other pairs", "pairs", "retrieval"))

# %% [markdown]
# ## Statement
#
# The first claim is whether anything is aligned at all, the second whether the blocks add to it. Nothing is claimed
# about monotony.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $h_k$ | residual stream entering block $k$, mean over tokens; $h_0$ embeddings, $h_L$ before the final norm | $(n, d)$ a language |
# | $A_k$ | accuracy at layer $k$: the nearest item of the other language, by centred cosine, has the query's scenario; mean of both directions | $(L+1,)$ |
# | $L^*$ | layer of the largest $A_k$ on discovery scenarios | scalar |
# | $c$ | largest accuracy of any control, each at its own $L^*$ | scalar a language |
# | excess | $A_{L^*} - c$; its upper limit is taken over the *mean* control, so that chance among the controls refutes nothing | scalar a language |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Row $i$ is the same problem in every language. *Checked in the cell "Assumption checks".*
# - **A2.** Scenarios are exchangeable; items of one scenario are not independent. *Taken; intervals resample whole scenarios.*
# - **A3.** Numbers written as digits are shared tokens, so that even a random model aligns them.
#   *Checked: the primary corpus is spelled out, the digits version stands under "Sensitivity".*
# - **A4.** Mean pooling without special tokens keeps what matters. *Checked under "Sensitivity".*

# %% [markdown]
# ## What would refute it
#
# There is nothing to derive: this is a measurement. *Aligned* is refuted by an excess over the best
# control that lies below .10 with its whole interval; *rises* by the same over layer 0 and random
# blocks; the monotone reading by any drop before the peak whose interval lies above .02.

# %% [markdown]
# ## Decision rule
#
# Stated before the data of this run. It was revised once after a first full run on this corpus and model
# (`params/claims.yaml` says how), so that only a new corpus or model confirms. A rule speaks only if the planted signal is `supported` by it and no random
# twin, permuted embedding or shuffled pairing is.

# %%
tables.rules(CLAIMS)

# %% [markdown]
# Its error rates at the corpus's number of scenarios and of items in each: in the world *on the bound* the signal is
# present in just so many scenarios that the mean excess equals the minimal effect.

# %% tags=["tol-0.12"]
texts = lab.load()
size = error_rates.size_of(texts)
operating = lab.error_rates(*(by_layer.worlds(study, size) for study in by_layer.STUDIES))
tables.operating(operating).round(3)

# %% [markdown]
# ## Assumption checks
#
# The corpus loader refuses rows that do not pair. Shown here: how many items and scenarios there are,
# how long they are, and how many tokens a translation shares with its original.

# %%
pairs = lab.open_pairs(texts)
assert all(len(texts.texts[language]) == len(texts.items) for language in texts.languages)
language_pairs.surface_table(pairs).round(3)

# %% [markdown]
# ## Prediction
#
# Before looking: a model that thinks in Z puts most translations of a well-represented language above
# every control in its middle layers, and fewer of a rare language.

# %% tags=["tol-0.03"]
result = by_layer.retrieval_by_layer(pairs, rng=lab.rng["retrieval"])
verdicts = {claim: claims.evaluate_scope(claim, result.evidence[claim]) for claim in CLAIMS}
result.peaks.pivot(index="subject", columns="language", values="accuracy").round(3)

# %% [markdown]
# ## Controls
#
# Each control under the rule that judges the model. Random twins are judged against the other twins.
# Below: is there any alignment at any layer? Shuffles within strata of length and token overlap, the
# largest layer against the largest shuffled layer. This is a test of *none*, where the rule asks for .10.

# %% tags=["tol-0.05"]
tables.controls(verdicts["prediction_1_aligned"]).round(3)

# %% tags=["tol-0.03"]
result.shuffles.groupby("language", sort=False).agg({"accuracy": "max", "null_high": "max", "p_holm": "first"})

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.05"]
by_language = {v.language: v.as_corrected for v in verdicts["prediction_1_aligned"][1:]}
figures.retrieval_curves(result.curves, result.peaks, by_language)

# %% [markdown]
# ## Sensitivity
#
# Accuracy of the trained model at its own peak, and of its best control, under other choices. The
# primary endpoint stands first; within a scenario only the numbers differ between items. A few outlier
# dimensions hold most of the variance of the residual stream, so the second row gives every dimension
# the same weight; where the rule would decide otherwise on it, the verdict's reason says so.

# %% tags=["tol-0.05"]
last = lab.open_others(texts, pooling="last", first_layer=1)
few = [code for code in texts.languages if code in other_languages.split(",")]
other_texts = lab.load(languages=few, version=corpora.OTHER_VERSION[texts.version])
other = lab.open_others(other_texts, variants=language_pairs.FEW_VARIANTS)
by_layer.sensitivity(pairs, last, other).round(3)

# %% [markdown]
# ## Verdict

# %% tags=["tol-0.05"]
for claim, found in verdicts.items():
    display(*lab.record(claim, found, texts=texts, pairs=pairs, operating=operating[claim]))

# %% [markdown]
# ## What this shows, and what it does not
#
# A language called *aligned* has, at one layer chosen elsewhere, states from which the scenario of a
# translated story can be read off by nearest neighbour better than from any model without training,
# from the texts' surface, or from trained blocks fed with the wrong embeddings. The topic of a story is
# enough for that. It does not show that the model computes in that space, nor that the shared part is
# all that matters (predictions 2 and 5). *Rises* separates what trained embeddings already share, which
# is a good part of it, from what the blocks add. *Refuted* means less than .10 above the controls at the
# layer that discovery chose, not nothing at all: the max-T test above may still find a little. The
# weights of the packaged models are quantised; whether they were re-rounded stands in the verdict's scope.
#
# What would change the verdict: a control we have not thought of that reaches the model's accuracy.

# %% tags=["nbval-ignore-output"]
files.provenance()
