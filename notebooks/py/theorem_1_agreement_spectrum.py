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
# *Kind:* theorem. *Depends on:* nothing. *Source:* the note's first theorem; its derivation is lost, and the set-up
# below is our reading of it.
#
# One map is trained to read the same content off the texts of several languages. Where the languages show a direction
# of the content alike, it can. Where they contradict each other, it cannot. The note says how much survives. What it
# says is true of the map on *whitened* inputs, and of no other.

# %% tags=["parameters"]
seed = 0  # root of every random stream
n_problems = 10  # random problems of two and of seven languages
n_seeds = 5  # samples of each size

# %%
from IPython.display import display
from zspace import files, theory
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.agreement_spectrum import agreement, figures

CLAIM = agreement.CLAIM
CLAIMS = [CLAIM]
lab = laboratory.open_lab(globals(), streams=("agreement",))

# %% [markdown]
# ## Statement
#
# The corrected form says three things, and one of them says when the note is right.
#
# - (1) The map on whitened inputs, $W S^{1/2}$, has singular values $\sqrt{\rho_i}$. The map itself has coefficients
#   $|w_i| = \sqrt{\rho_i / s_i}$: the note's form holds if and only if $s_i$ is the same in all directions with
#   $\rho_i > 0$.
# - (2) The minimum of the loss is $A d - \sum_i \rho_i$.
# - (3) $0 \le \rho_i \le A$, with equality on the right if and only if the languages agree.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $c$ | latent content, $\mathrm{Cov}(c) = I$ | $(d,)$ |
# | $x_l = T_l c$ | the content as language $l$ shows it; $T_l = U\,\mathrm{diag}(z_l)\,V^\top$ where diagonal | $(d,)$ |
# | $\alpha_l$, $A = \sum_l \alpha_l$ | share of language $l$ in the loss | $(K,)$ |
# | $M = \sum_l \alpha_l T_l$, $S = \sum_l \alpha_l T_l T_l^\top$ | cross and second moment of the mixture; $m_i$, $s_i$ where diagonal | $(d, d)$ |
# | $\rho_i$ | agreement ratio, an eigenvalue of $M^\top S^{-1} M$ | $(d,)$ |
# | $Z$ | span of the leading eigenvectors, in the space of $c$ | $(d, r)$ |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** $W$ minimises $\sum_l \alpha_l E\|c - W T_l c\|^2$; shares are positive. *Taken; other shares are refused.*
# - **A2.** $S$ is invertible: every input direction carries something in some language. *Checked below: otherwise the map is not unique, and is refused.*
# - **A3.** Every direction of a diagonal problem is used by some language. *Checked below: otherwise $\rho$ is $0/0$, and undefined.*

# %% [markdown]
# ## Derivation
#
# The loss is $\mathrm{tr}(W S W^\top) - 2\,\mathrm{tr}(W M) + A d$. Completing the square, it is
# $\|(W - M^\top S^{-1}) S^{1/2}\|^2 + A d - \mathrm{tr}(M^\top S^{-1} M)$. So $W^* = M^\top S^{-1}$, and (2) holds.
# $W^* S^{1/2}$ times its transpose is $M^\top S^{-1} M$, which is (1). For diagonal transforms
# $A s_i - m_i^2 = \sum_{l < l'} \alpha_l \alpha_{l'} (z_{li} - z_{l'i})^2$, which is (3); for general ones the same holds
# with $T_l$ and products $T_l T_l^\top$. For $A = 1$ the $\rho_i$ are the squared canonical correlations of $x$ and $c$.

# %% [markdown]
# ## Decision rule
#
# As stated, the theorem is *refuted* by one counterexample. As corrected, it is *proved* when every residue of the first
# table vanishes and the closed form meets least squares, gradient descent, canonical correlations and samples.

# %%
display(tables.residues(theory.prove_agreement_spectrum()), tables.rules(CLAIMS))

# %% [markdown]
# ## Assumption checks
#
# A direction that no language uses has no ratio, neither 0 nor 1 (A3). A singular $S$ is refused (A2).

# %%
agreement.undefined_problems()

# %% [markdown]
# ## Prediction
#
# Before computing, three cases. Two languages that both show two directions with sizes 2 and 0.1 agree perfectly in
# both, yet the map multiplies them by 0.5 and 10. Opposite signs with shares .9 and .1 look like .64 of agreement. A
# direction that one language alone has gets that language's share, which says little of conflict.

# %%
result = agreement.agreement_spectrum(rng=lab.rng["agreement"], n_problems=n_problems, n_seeds=n_seeds)
result.examples.set_index(["example", "direction"]).round(4)

# %% [markdown]
# ## Controls
#
# *Would it say "proved" if the statement were false?* Other closed forms go through the same checks. Each must fail at
# least one of those that are meant for it.

# %%
assert (result.wrong["verdict"] == "proved").tolist() == [True, *[False] * (len(result.wrong) - 1)]
display(result.wrong)

# %% [markdown]
# ## Evidence
#
# The table: is the closed form as near as it has to be to what does not use it? The first figure: the spectrum from
# samples. The second: move the share, and see that agreement and the raw coefficient are different functions of the same
# three numbers.

# %%
result.numbers.dropna().assign(met=lambda t: t["value"] <= t["allowed"])[["allowed", "met"]]

# %% tags=["tol-0.001"]
figures.sampled_errors(result.sampled)

# %%
figures.agreement_explorer()

# %% [markdown]
# ## Sensitivity
#
# Diagonal transforms keep their eigenvectors whatever the shares. General ones do not: which directions are shared is
# then a matter of how much of each language there is.

# %% tags=["tol-0.001"]
figures.turning_curves(result.turning)

# %% [markdown]
# ## Verdict

# %%
display(*lab.record(CLAIM, [claims.evaluate(CLAIM, result.evidence)]))

# %% [markdown]
# ## What this shows, and what it does not
#
# (1) to (3) are exact for linear maps and squared loss, for any number of languages and any transforms. The note's form
# holds where every direction has the same second moment, as after whitening.
#
# Low agreement is *conflict* only under the given shares: a direction that one language alone has, and one in which two
# languages contradict each other, can have the same ratio. Nothing here is about training of nonlinear networks.
#
# What would change the verdict: a symbolic residue that does not vanish, or a problem on which least squares and the
# closed form differ.

# %% tags=["nbval-ignore-output"]
files.provenance()
