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
# # Experiment. Orthogonality: the numbers that validate it are not those of training
#
# *Kind:* experiment. *Depends on:* theorem 2, the blind sweep. *Source:* the note's orthogonality run (residual
# network, six layers). Its code is lost: the network and its world are our reading.
#
# Theorem 2 as stated needs contributions that are orthogonal. The note validates that with five numbers of one trained
# network. Would they be any different had nothing been learned? Mostly not: small cosines and norm ratios are what
# unrelated vectors give. One number does tell training apart, and it says the opposite: trained layers take back what
# others added.

# %% tags=["parameters"]
n_seeds = 6  # worlds and networks, none of which the rule had seen
n_simulations = 400  # simulated results of each kind for the error rates
seed = 0  # root of every random stream

# %%
from IPython.display import display
from zspace import files
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.blind_sweep import convergence, figures, orthogonality

CLAIM = orthogonality.CLAIM
CLAIMS = [CLAIM]
lab = laboratory.open_lab(globals(), streams=("error rates", "networks"))

# %% [markdown]
# ## Statement
#
# The note reports an SNR that falls at every layer, small cosines between contributions, small cross-terms and a
# steady $\|\delta\|/\|f\|$. All of its numbers stand beside ours under "Prediction". Only what the statements below say
# is judged; cosines and norm ratios are shown.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $f_k$, $\delta_k$ | contribution of block $k$; its difference between two languages | $(n, w)$ |
# | $\Delta_k$ | difference of the states | $(n, w)$ |
# | cross-terms | $(\|\Delta_L\|^2 - \|\Delta_0\|^2 - \sum_k \|\delta_k\|^2) / \|\Delta_L\|^2$ | scalar |
# | $p$ | joint participation ratio of two layers | scalar |
#
# (1) Contributions that are independent, with mean zero, have cross-terms 0 and $\|\delta\|/\|f\| = \sqrt 2$.
#
# (2) Unrelated vectors have $E\lvert\cos\rvert = \sqrt{2/(\pi p)}$, which is small in many dimensions.

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Six residual tanh blocks, centroids, ill-conditioned maps, 16 dimensions. *Taken: the note says neither.*
# - **A2.** A cosine of two layers is its mean over items, not centred. *Taken; item by item and centred is shown too.*
#
# ## Derivation
#
# For (1): the squared length of a sum of independent vectors with mean zero is the sum of their squared lengths. The
# difference of two such vectors has twice the squared length of one. Random weights give such contributions. So these
# values say nothing about what a network has learned.

# %% [markdown]
# ## Decision rule
#
# The rule was fixed before these networks were trained. A statement is *supported* where it holds in most networks, by
# the whole interval of their share. Untrained networks must not support it. A planted stack that the statement
# describes must.

# %% tags=["tol-0.05"]
operating = lab.error_rates(convergence.worlds(CLAIM, n_seeds))
display(tables.rules(CLAIMS), tables.operating(operating).round(3))

# %% [markdown]
# ## Assumption checks
#
# Cosines item by item (A2): of contributions to one item, of contributions to unrelated items, and by (2). If all three
# agree, small cosines are those of unrelated vectors.

# %% tags=["tol-0.05"]
result = orthogonality.orthogonality(rng=lab.rng["networks"], seeds=range(10, 10 + n_seeds))
result.comparison.filter(like="|cos|,", axis=0)[["trained", "untrained", "private targets"]].astype(float).round(3)

# %% [markdown]
# ## Prediction
#
# Before looking: small cosines everywhere, and cross-terms that tell trained networks from untrained ones. One row per
# number of the note: its value, ours, and in how many networks ours lies near it.

# %% tags=["tol-0.05"]
verdicts = [claims.evaluate(CLAIM, result.evidence)]
result.comparison.round(3)

# %% [markdown]
# ## Controls
#
# The same networks before training; stacks of orthogonal layers; stacks whose layers take back what others added.

# %% tags=["tol-0.05"]
tables.controls(verdicts).round(3)

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.05"]
figures.orthogonality_profiles(result.layers, orthogonality.NOTE_SNR)

# %% [markdown]
# ## Sensitivity
#
# By language: cross-terms and cosines of trained, untrained and private-target networks.

# %% tags=["tol-0.05"]
result.numbers.groupby(["subject", "language"], sort=False)[["cross-terms", "mean |cos| off the diagonal", "snr falls"]].mean().round(3)

# %% [markdown]
# ## Verdict

# %% tags=["tol-0.05"]
display(*lab.record(CLAIM, verdicts, operating=operating[CLAIM]))

# %% [markdown]
# ## What this shows, and what it does not
#
# Cosines near zero and a norm ratio near $\sqrt 2$ validate nothing: unrelated contributions have them. Cross-terms do
# tell a trained network from an untrained one. They do not tell sharing: networks with private targets have them too.
#
# What would change the verdict: a network, by another reading (A1), whose training leaves cross-terms where they were.

# %% tags=["nbval-ignore-output"]
files.provenance()
