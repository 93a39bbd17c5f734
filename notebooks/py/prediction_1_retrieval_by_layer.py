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
# If languages share a space Z, the state of a story lies next to the state of its translation, and more so in
# deeper layers. Two questions hide in that sentence, and they have different null hypotheses. **Is anything aligned
# at all? Do the blocks add to it?** Both are asked of the scenario that a story tells. Whether the very numbers of
# a story can be told apart stands under "Sensitivity".

# %% tags=["parameters"]
model = "gemma-3-270m"  # name in params/models.yaml, hub id, folder, or name of imported states
corpus = "number-stories"  # name, hub id, folder or file
version = ""  # "spelled-out" or "digits", "masked" or "as-is" for other corpora; "" takes the first that fits
languages = "en,zh,fr,sw"  # the first one is the anchor
other_languages = "en,zh,fr,sw"  # those, as far as they are read, of the row on the other version of the numbers
n_scenarios = 15  # scenarios of number-stories
n_draws = 2  # items per scenario
difficulty = 2  # operations per item
padding = "none"  # sentences that change nothing: "none", "sentences" or "numbers"
n_items = 0  # first rows of another corpus; 0 takes all
block = 1  # neighbouring rows of another corpus that belong together
seed = 0  # root of every random stream
n_random = 3  # random-weight baselines: the more there are, the less their spread counts
n_re_rounded = 0  # times that quantised weights are re-rounded; a verdict that flips is inconclusive
n_simulations = 40  # simulated worlds of each kind for the error rates

# %%
from IPython.display import display
from zspace import files
from zspace.evidence import claims, laboratory, language_pairs, tables
from zspace.evidence.retrieval import by_layer, figures
from zspace.sources import corpora

CLAIMS = [by_layer.ALIGNED, by_layer.RISES]
lab = laboratory.open_lab(globals(), streams=("error rates", "other pairs", "pairs", "retrieval", "permutations"))

# %% [markdown]
# ## Statement
#
# The first claim asks whether anything is aligned at all, the second whether the blocks add to it. The note's
# "rises with depth" is read as "rises at every layer up to the peak". The corrected form drops that: accuracy may
# fall at one layer and still end above where it began.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $h_k$ | residual stream entering block $k$, mean over tokens; $h_0$ embeddings, $h_L$ before the final norm | $(n, d)$ per language |
# | $A_k$ | accuracy at layer $k$: the nearest item of the other language, by cosine of centred and standardised states, has the query's scenario; mean of both directions | $(L+1,)$ |
# | $L^*$ | layer of the largest $A_k$ on discovery scenarios | scalar |
# | $c$ | accuracy of the kind of control that comes closest, each at its own $L^*$; random-weight baselines count on average | scalar per language |
# | excess | $A_{L^*} - c$; the spread of the baselines is a part of its error | scalar per language |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Row $i$ is the same problem in every language. *Checked under "Assumption checks".*
# - **A2.** Scenarios are exchangeable; items of one scenario are not independent. *Taken; intervals resample whole scenarios.*
# - **A3.** Numbers written as digits are tokens that languages share, so that even a random model aligns them.
#   *Checked: the primary corpus spells numbers out; the version with digits stands under "Sensitivity".*
# - **A4.** Mean pooling without special tokens keeps what matters. *Checked under "Sensitivity".*

# %% [markdown]
# ## What would refute it
#
# There is nothing to derive: this is a measurement. *Aligned* is refuted when the excess lies below the bound of
# the rule with its whole interval. *Rises* is refuted in the same way by the rise over layer 0 and over trained
# embeddings under random blocks. The reading "at every layer" is refuted by a clear drop before the peak.

# %% [markdown]
# ## Decision rule
#
# The rule was revised once, after a first full run on this corpus and model, so that only a new corpus or model
# confirms. It speaks only if its controls pass: the planted signal must be `supported`, and no random-weight
# baseline, permuted embedding or shuffled pairing may be.
# How often it errs stands under "Verdict": its simulated worlds are like this run's states.

# %%
tables.rules(CLAIMS)

# %% [markdown]
# ## Assumption checks
#
# The corpus loader refuses rows that do not pair (A1). The table shows how many items and scenarios there are, how
# long the items are, and how many tokens a translation shares with its original (A3).

# %%
texts = lab.load()
pairs = lab.open_pairs(texts)
assert all(len(texts.texts[language]) == len(texts.items) for language in texts.languages)
language_pairs.surface_table(pairs).round(3)

# %% [markdown]
# ## Prediction
#
# Before looking: in its middle layers, a model that thinks in Z puts most translations of a well-represented
# language above every control, and fewer of a rare language. The table holds the accuracy of every subject at its
# own peak.

# %% tags=["tol-0.03"]
result = by_layer.retrieval_by_layer(pairs, rng=lab.rng["retrieval"])
verdicts = {claim: claims.evaluate_scope(claim, result.evidence[claim]) for claim in CLAIMS}
result.peaks.pivot(index="subject", columns="language", values="accuracy").round(3)

# %% [markdown]
# ## Controls
#
# Every control is judged by the rule that judges the model. A random-weight baseline is compared with the other
# baselines.
#
# The second table asks for less than the rule: is there *any* alignment at *any* layer? Items are shuffled within
# strata of length and token overlap, and the largest accuracy of all layers is compared with the largest shuffled one.

# %% tags=["tol-0.05"]
tables.controls(verdicts[by_layer.ALIGNED]).round(3)

# %% tags=["tol-0.03"]
result.shuffles.groupby("language", sort=False).agg({"accuracy": "max", "null_high": "max", "p_holm": "first"})

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.05"]
by_language = {v.language: v.as_corrected for v in verdicts[by_layer.ALIGNED][1:]}
figures.retrieval_curves(result.curves, result.peaks, by_language)

# %% [markdown]
# ## Sensitivity
#
# Each row shows the trained model at its own peak, and its best control, under another choice. The primary choice
# stands first. Three rows need a word:
#
# - *Dimensions as they are.* A few outlier dimensions hold most of the variance of the residual stream; in the
#   primary measure all dimensions weigh the same. Where the two decide in opposite ways, the verdict is
#   `inconclusive (depends on the measure)`.
# - *Within its scenario.* Items of one scenario differ in their numbers only.
# - *Linear CKA.* It compares all distances between items instead of nearest neighbours. It counts only above the row
#   below it: permuted scenarios keep their own items together, so that unrelated languages are not at zero.

# %% tags=["tol-0.05"]
last = lab.open_others(texts, pooling="last", first_layer=1)
anchor, *rest = texts.languages
few = [anchor, *(code for code in rest if code in other_languages.replace(",", " ").split())]
other_texts = lab.load(languages=few, version=corpora.OTHER_VERSION[texts.version])
other = lab.open_others(other_texts, variants=language_pairs.FEW_VARIANTS)
by_layer.sensitivity(pairs, last, other, rng=lab.rng["permutations"]).round(3)

# %% [markdown]
# ## Verdict
#
# The table says how often the rule errs on simulated language pairs. They are like those of this run: its items,
# scenarios and split, as many baselines that differ as much from seed to seed, and states that are as wide and as
# alike within a scenario; layers and dimensions are fewer. All of them go through what the model's states went
# through. The true effect is a multiple of the bound, or the trained model is *one more baseline* (none).

# %% tags=["tol-0.12"]
operating = lab.error_rates(*(by_layer.worlds(claim, pairs, result) for claim in CLAIMS))
tables.operating(operating).round(3)

# %% tags=["tol-0.05"]
for claim, found in verdicts.items():
    display(*lab.record(claim, found, texts=texts, pairs=pairs, operating=operating[claim]))

# %% [markdown]
# ## What this shows, and what it does not
#
# *Aligned* means: at one layer, chosen on other scenarios, a nearest neighbour tells the scenario of a translated
# story. It does so better than in any model without training, than the surface of the texts, and than trained blocks
# fed with permuted embeddings. The topic of a story is enough for that. It does not show that the model computes in
# that space, nor that the shared part is all that matters (predictions 2 and 5).
#
# *Rises* separates what the blocks add from what trained embeddings already share, which is a good part of it.
#
# *Refuted* means less than the minimal effect above the controls, at the layer that discovery chose. It does not
# mean nothing at all: the shuffles above may still find a little. The weights of the packaged models are quantised;
# the scope of the verdict says whether they were re-rounded.
#
# What would change the verdict: a control that nobody has thought of and that reaches the model's accuracy; where a
# language is inconclusive, more scenarios (the reason says how many).

# %% tags=["nbval-ignore-output"]
files.provenance()
