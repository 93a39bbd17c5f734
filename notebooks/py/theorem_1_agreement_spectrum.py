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
# # Theorem 1. A linear map for several languages has the spectrum of their agreement
#
# *Kind:* theorem. *Depends on:* nothing. *Source:* the note's first theorem; its derivation is lost, and
# the set-up below is our reading of it.
#
# One map is trained to read the same content off the texts of several languages. Where the languages
# show a direction of the content alike, it can; where they contradict each other, it cannot. The note
# says how much survives. What it says is true of the map on *whitened* inputs, and of no other.

# %% [markdown]
# ## Statement
#
# **As stated:** trained by squared error on languages with shares $\alpha_l$, $W$ has singular values
# $\sigma_i \propto \sqrt{\rho_i}$ with $\rho_i = (\sum_l \alpha_l z_{li})^2 / \sum_l \alpha_l z_{li}^2$.
#
# **As corrected:** $W S^{1/2}$ has singular values exactly $\sqrt{\rho_i}$ (1), where $S$ is the second
# moment of the mixture. $W$ itself has $|w_i| = \sqrt{\rho_i / s_i}$, so that the note's form holds if and
# only if $s_i$ is the same for all directions with $\rho_i > 0$. The minimum of the loss is $A d - \sum_i \rho_i$ (2), and
# $0 \le \rho_i \le A$ with equality on the right if and only if the languages agree (3).
#
# | symbol | meaning | shape |
# |---|---|---|
# | $c$ | latent content, $\mathrm{Cov}(c) = I$ | $(d,)$ |
# | $x_l = T_l c$ | the content as language $l$ shows it; $T_l = U\,\mathrm{diag}(z_l)\,V^\top$ where diagonal | $(d,)$ |
# | $\alpha_l$, $A = \sum_l \alpha_l$ | share of language $l$ in the loss (`share`) | $(K,)$ |
# | $M = \sum_l \alpha_l T_l$, $S = \sum_l \alpha_l T_l T_l^\top$ | cross and second moment of the mixture; $m_i$, $s_i$ where diagonal | $(d, d)$ |
# | $\rho_i$ | agreement ratio, an eigenvalue of $M^\top S^{-1} M$ | $(d,)$ |
# | $Z$ | span of the leading eigenvectors, in the space of $c$ | $(d, r)$ |

# %% [markdown]
# ## Assumptions
#
# - **A1.** $W$ minimises $\sum_l \alpha_l E\|c - W T_l c\|^2$; shares are positive. *Taken; shares that are not are refused.*
# - **A2.** $S$ is invertible: every input direction carries something in some language. *Checked below: else the map is not unique, and is refused.*
# - **A3.** Every direction of a diagonal problem is used by some language. *Checked below: else $\rho$ is $0/0$, and undefined.*

# %% [markdown]
# ## Derivation
#
# The loss is $\mathrm{tr}(W S W^\top) - 2\,\mathrm{tr}(W M) + A d$. Completing the square,
# it is $\|(W - M^\top S^{-1}) S^{1/2}\|^2 + A d - \mathrm{tr}(M^\top S^{-1} M)$, so that $W^* = M^\top S^{-1}$ and (2)
# holds; $W^* S^{1/2}$ times its transpose is $M^\top S^{-1} M$, which is (1). For diagonal transforms,
# $A s_i - m_i^2 = \sum_{l < l'} \alpha_l \alpha_{l'} (z_{li} - z_{l'i})^2$, which is (3); for
# general ones the same with $T_l$ and products $T_l T_l^\top$. For $A = 1$ the
# $\rho_i$ are the squared canonical correlations of $x$ and $c$.

# %% tags=["parameters"]
seed = 0  # root of every random stream
n_problems = 10  # random problems of two and of seven languages
n_seeds = 5  # samples of each size

# %%
import warnings

import numpy as np
import pandas as pd
from IPython.display import display
from zspace import files, theory
from zspace.errors import UndefinedAgreementWarning
from zspace.evidence import claims, tables, theme
from zspace.evidence.agreement_spectrum import agreement, figures

CLAIM = "theorem_1_agreement_spectrum"
theme.prepare_notebook()

# %% [markdown]
# ## Decision rule
#
# As stated, the theorem is *refuted* by one counterexample. As corrected, it is *proved* when every
# symbolic residue below vanishes and the closed form meets least squares, gradient descent, canonical
# correlations and samples.

# %%
display(theory.prove_agreement_spectrum(), tables.rules([CLAIM]))

# %% [markdown]
# ## Assumption checks
#
# A singular $S$ is refused (A2), and a direction that no language uses has no ratio, neither 0 nor 1 (A3).

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    unused = theory.agreement_ratio([[1, 0], [1, 0]], [0.5, 0.5])
assert np.isnan(unused[1])
assert caught[0].category is UndefinedAgreementWarning
try:
    theory.optimal_map(np.ones((2, 2, 2)), [0.5, 0.5])
except ValueError as error:
    refused = str(error)
said = {"direction of no language": str(caught[0].message), "singular S": refused}
display(unused, pd.DataFrame.from_dict(said, orient="index", columns=["answer"]))

# %% [markdown]
# ## Prediction
#
# Before computing: two languages that both show two directions with sizes 2 and 0.1 agree perfectly in
# both, yet the map multiplies them by 0.5 and 10. Opposite signs with shares .9 and .1 look like .64 of
# agreement. A direction that one language alone has gets its share, which says little of conflict.

# %%
result = agreement.agreement_spectrum(rng=np.random.default_rng(seed), n_problems=n_problems, n_seeds=n_seeds)
result.examples.set_index(["example", "direction"]).round(4)

# %% [markdown]
# ## Controls
#
# *Would it say "proved" if the statement were false?* Other closed forms go through the same checks;
# each must fail at least one of those that are meant for it.

# %%
assert (result.wrong["verdict"] == "proved").tolist() == [True, *[False] * (len(result.wrong) - 1)]
display(result.wrong)

# %% [markdown]
# ## Evidence
#
# Largest differences between the closed form and what does not use it, and the spectrum from samples.

# %%
result.numbers.dropna().assign(met=lambda t: t["value"] <= t["allowed"])[["allowed", "met"]]

# %% tags=["tol-0.001"]
figures.sampled_errors(result.sampled)

# %% [markdown]
# Move the share: agreement and raw coefficient are different functions of the same three numbers.

# %%
figures.agreement_explorer()

# %% [markdown]
# ## Sensitivity
#
# Diagonal transforms keep their eigenvectors whatever the shares; general ones do not: which directions
# are shared is then a matter of how much of each language there is.

# %% tags=["tol-0.001"]
figures.turning_curves(result.turning)

# %% [markdown]
# ## Verdict

# %%
verdicts = [claims.evaluate(CLAIM, result.evidence)]
claims.record(CLAIM, verdicts, model="any", corpus="any", provenance=files.provenance())
display(tables.reasons(verdicts).T)

# %% [markdown]
# ## What this shows, and what it does not
#
# (1) to (3) are exact for linear maps and squared loss, for any number of languages and any transforms.
# The note's form holds where every direction has the same second moment, as after whitening. Low
# agreement is *conflict* under the given shares: a direction that one language alone has, and one in
# which two languages contradict each other, can have the same ratio. Nothing here is about training of
# nonlinear networks.
#
# What would change the verdict: a symbolic residue that does not vanish, or a problem on which least
# squares and the closed form differ.

# %% tags=["nbval-ignore-output"]
files.provenance()
