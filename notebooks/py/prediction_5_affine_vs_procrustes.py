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
# # Prediction 5. Does an affine bridge beat a rotation, more so in deeper layers?
#
# *Kind:* prediction on a fixed model. *Depends on:* prediction 1. *Source:* the fifth of the note's six tests; its
# heading is lost and inferred here.
#
# If the states of two languages were rotated copies of one space, a rotation would carry one to the other, and an
# affine map could do no better. How much better it does, on items that neither was fitted to, measures how far they are
# from that.

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
n_re_rounded = 0  # times that quantised weights are re-rounded; a verdict that flips is inconclusive
n_simulations = 40  # simulated worlds of each kind for the error rates

# %%
from IPython.display import display
from zspace import files
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.bridges import bridging, figures

CLAIM = bridging.AFFINE
CLAIMS = [CLAIM]
lab = laboratory.open_lab(globals(), streams=("pairs", "bridges", "error rates"))

# %% [markdown]
# ## Statement
#
# The gap between the two maps, taken by itself, says little. In the sample, an affine map always fits at least as well
# as a rotation, and Procrustes without a scale can have a negative $R^2$ by a mismatch of scale alone. On held-out items
# the affine map also loses by the noise it has fitted. So the gap is compared with what it would be if a scaled rotation
# with noise in both languages were true. Nothing is said where no map predicts held-out items at all.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $X, Y$ | states of both languages, leading $p$ principal components each, fitted to discovery items | $(n, p)$ |
# | $R^2$ | $1 - \|Y - \hat Y\|^2/\|Y - \bar Y\|^2$ on confirmation items | scalar per layer |
# | gap | $R^2$ of ridge regression (leave-one-out penalty) minus $R^2$ of scaled Procrustes | scalar per layer |
# | excess | gap minus its mean over simulations of a scaled rotation with noise in both languages, with the correlation and noise level estimated from the data | scalar per layer |
# | growth | mean excess of the last third of the layers minus that of the first | scalar per language |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Row $i$ is the same problem in both languages. *Checked by the corpus loader.*
# - **A2.** The leading components hold what is to be mapped. *Taken; there are at least four discovery items per component, and the table below says how many components that allows.*
# - **A3.** The states of either language are a shared part plus noise of its own. *Taken. A null with noise in the
#   second language only is exceeded by most simulated rotations, because noise in the first passes for a gap; this
#   one is exceeded by few. It is not exact: see the planted rotation, whose true excess is 0, under "Controls".*

# %% [markdown]
# ## What would refute it
#
# There is nothing to derive: this is a measurement. The corrected form is refuted when the excess lies below the bound
# with its whole interval; the note's form in the same way by the growth.

# %% [markdown]
# ## Decision rule
#
# The rule was fixed before the data of this run. The 95 % limits of ridge's held-out $R^2$, mean over the inner
# layers, have to lie above zero, or there is nothing to explain.

# %%
tables.rules(CLAIMS)

# %% [markdown]
# ## Assumption checks
#
# How many items a bridge is fitted to, and how many components that allows (A2).

# %% tags=["tol-0.02"]
texts = lab.load()
pairs = lab.open_pairs(texts)
bridging.fit_sizes(len(texts.items), int(next(iter(pairs.values())).discovery.sum()))

# %% [markdown]
# ## Prediction
#
# Before looking: with stories of few scenarios, hardly any map will hold on scenarios that it has not seen. The table
# holds means over layers.

# %% tags=["tol-0.05"]
result = bridging.affine_vs_procrustes(pairs, rng=lab.rng["bridges"])
numbers = ["r2 procrustes", "r2 scaled_procrustes", "r2 ridge", "gap", "gap, null", "log_kappa", "log_kappa, null"]
result.curves.groupby(["language", "subject"], sort=False)[numbers].mean().round(3)

# %% [markdown]
# ## Controls
#
# The shuffled pairing and a planted rotation of the anchor with noise must not come out supported. Maps of the anchor
# whose condition number grows with depth are the planted signal: they must, by both readings. Random-weight baselines
# are not judged (their languages have no reason to be rotations of each other); they stand in the table above.

# %% tags=["tol-0.05"]
verdicts = claims.evaluate_scope(CLAIM, result.evidence)
tables.controls(verdicts).round(3)

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.05"]
figures.ladder_curves(result.curves)

# %% [markdown]
# ## Sensitivity
#
# Excess of the gap by thirds of the layers. The note expects it to grow from left to right, most for Swahili. The
# rule judges the growth of each language; no rule compares languages.

# %% tags=["tol-0.05"]
bridging.excess_by_third(result.curves).round(3)

# %% [markdown]
# ## Verdict
#
# The error rates of the rule come here because they are simulated with the standard errors of this run.

# %% tags=["tol-0.12"]
operating = lab.error_rates(bridging.gap_worlds(result))
tables.operating(operating).round(3)

# %% tags=["tol-0.05"]
display(*lab.record(CLAIM, verdicts, texts=texts, pairs=pairs, operating=operating[CLAIM]))

# %% [markdown]
# ## What this shows, and what it does not
#
# *Supported* means that the states of the two languages differ by more than a rotation, a scale and noise. It does
# not say why.
#
# *Not testable* means that ridge, on average over the inner layers, does not reliably predict new items, or that a
# control failed. Where ridge does not, the corpus has too few scenarios to learn a map from, or there is none. A
# corpus of some hundred sentences tells more than stories of few scenarios.
#
# What would change the verdict: more scenarios, so that bridges hold on those that they have not seen.

# %% tags=["nbval-ignore-output"]
files.provenance()
