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
# Theorem 2 as stated needs contributions that are orthogonal. The note validates that with five numbers of one
# trained network. Would they be any different had nothing been learned?

# %% [markdown]
# ## Statement
#
# **As stated:** SNR 1.663 to 1.325, falling at every layer; cosines between contributions .046 in the mean, .171 at most;
# cross-terms 9.6 % of $\|\Delta_L\|^2$; $\|\delta\|/\|f\|$ 1.4 to 1.6: contributions are orthogonal and convergence is their accumulation.
#
# **As corrected:** contributions are *not* orthogonal after training. Cross-terms lie well below those of the same network
# before training: layers take back what others added. Cosines and norm ratios barely tell the two apart (shown, not judged).
#
# | symbol | meaning | shape |
# |---|---|---|
# | $f_k$, $\delta_k$ | contribution of block $k$; its difference between two languages | $(n, w)$ |
# | $\Delta_k$ | difference of the states | $(n, w)$ |
# | cross-terms | $(\|\Delta_L\|^2 - \|\Delta_0\|^2 - \sum_k \|\delta_k\|^2) / \|\Delta_L\|^2$ | scalar |
# | $p$ | joint participation ratio of two layers; unrelated vectors have $E\lvert\cos\rvert = \sqrt{2/(\pi p)}$ | scalar |

# %% [markdown]
# ## Assumptions
#
# - **A1.** Six residual tanh blocks, centroids, ill-conditioned maps, 16 dimensions. *Taken: the note says neither.*
# - **A2.** A cosine of two layers is its mean over items, not centred. *Taken; item by item and centred is shown too.*
#
# ## Derivation
#
# Were contributions independent and their means zero, $\|\Delta_L\|^2$ would be the sum of its parts, cross-terms 0 and
# $\|\delta\|/\|f\| = \sqrt 2$. That is what random weights give. It says nothing about what a network has learned.

# %% tags=["parameters"]
n_seeds = 6  # worlds and networks, none of which the rule had seen
n_simulations = 400  # simulated results of each kind for the operating characteristic
seed = 0  # root of every random stream

# %%
import numpy as np
from IPython.display import display
from zspace import files
from zspace.evidence import claims, tables, theme
from zspace.evidence.blind_sweep import convergence, figures, orthogonality

streams = np.random.default_rng(seed).spawn(2)
theme.prepare_notebook()

# %% [markdown]
# ## Decision rule
#
# Stated before the data: a statement is *supported* where it holds in most networks (95 % interval of their share above
# one half). Untrained networks must not support it; a planted stack that the statement describes must.

# %% tags=["tol-0.05"]
make = convergence.simulated(orthogonality.CLAIM, n_seeds)
operating = claims.operating_characteristic(orthogonality.CLAIM, make, rng=streams[0], n_simulations=n_simulations)
display(tables.rules([orthogonality.CLAIM]), tables.operating({orthogonality.CLAIM: operating}).round(3))

# %% [markdown]
# ## Assumption checks
#
# Cosines item by item (A2): of contributions to the same item, to unrelated ones, and by the participation ratio.

# %% tags=["tol-0.05"]
result = orthogonality.orthogonality(rng=streams[1], seeds=range(10, 10 + n_seeds))
result.comparison.filter(like="|cos|,", axis=0)[["trained", "untrained", "private targets"]].astype(float).round(3)

# %% [markdown]
# ## Prediction
#
# Before looking: small cosines everywhere; cross-terms that tell trained from untrained networks.

# %% tags=["tol-0.05"]
verdicts = [claims.evaluate(orthogonality.CLAIM, result.evidence)]
result.comparison.round(3)

# %% [markdown]
# ## Controls

# %% tags=["tol-0.05"]
tables.controls(verdicts).round(3)

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.05"]
figures.orthogonality_profiles(result.layers, orthogonality.NOTE_SNR)

# %% [markdown]
# ## Sensitivity
#
# By language: cross-terms and the cosines of every subject.

# %% tags=["tol-0.05"]
result.numbers.groupby(["subject", "language"], sort=False)[["cross-terms", "mean |cos| off the diagonal", "snr falls"]].mean().round(3)

# %% [markdown]
# ## Verdict

# %% tags=["tol-0.05"]
claims.record(orthogonality.CLAIM, verdicts, model="any", corpus="any", operating=operating, provenance=files.provenance())
display(tables.verdicts(verdicts).round(3), tables.reasons(verdicts))

# %% [markdown]
# ## What this shows, and what it does not
#
# Cosines near zero, and a ratio near $\sqrt 2$, are no validation: unrelated contributions have them. Cross-terms do
# tell a trained network from an untrained one, but not sharing: networks with private targets have them as well.
#
# What would change the verdict: a network, by another reading (A1), whose training leaves cross-terms where they were.

# %% tags=["nbval-ignore-output"]
files.provenance()
