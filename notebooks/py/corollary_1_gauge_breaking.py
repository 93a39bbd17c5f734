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
# # Corollary 1. One language leaves the span of a bottleneck free; two languages fix it
#
# *Kind:* corollary. *Depends on:* theorem 1. *Source:* the note's corollary; its derivation is lost, and the bottleneck
# below is our reading of where a rotation could be free at all.
#
# The note says that with one language the model may rotate its internal space as it likes, and that a second language
# takes this freedom away. For an unrestricted map there is nothing to take away. Through a bottleneck there is: *which*
# directions pass it. How they are written inside it stays free in any case.

# %% tags=["parameters"]
seed = 0  # root of every random stream
n_seeds = 12  # nets trained on each problem
n_orbit = 400  # randomly turned spans of each problem

# %%
from IPython.display import display
from zspace import files, theory
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.agreement_spectrum import figures, gauge

CLAIM = gauge.CLAIM
CLAIMS = [CLAIM]
lab = laboratory.open_lab(globals(), streams=("gauge", "closing gap"))

# %% [markdown]
# ## Statement
#
# The bottleneck is $W = AB$ of rank $r$. The corrected form says three things about it.
#
# - (1) One language with isotropic content and invertible $T$: all spans of $A$ are optimal, at a loss of $d - r$.
# - (2) More languages: the optimal span is unique if and only if $\rho_r > \rho_{r+1}$.
# - (3) In any case, $A \to A g^{-1}$, $B \to g B$ leaves $r^2$ directions flat.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $c$, $x_l = T_l c$, $S$, $M$ | content, what language $l$ shows, moments (theorem 1) | $(d,)$, $(d, d)$ |
# | $A$, $B$ | out of and into the bottleneck, $W = AB$ | $(d, r)$, $(r, d)$ |
# | $P$ | projector on the span of $A$ | $(d, d)$ |
# | $G = M^\top S^{-1} M$ | its eigenvalues are $\rho_1 \ge \rho_2 \ge \dots$ | $(d, d)$ |
# | $\mathrm{tr}(P_i P_j)/r$ | overlap of the spans that two seeds find; $r/d$ for independent ones | scalar |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Squared error, exact moments (nothing is sampled), $S$ invertible. *Taken; a singular $S$ is refused.*
# - **A2.** For (1): $\mathrm{Cov}(c) = I$; $T$ may be any invertible map. *Checked: an anisotropic target breaks the symmetry, an anisotropic $T$ does not.*
# - **A3.** For (2): no tie at the edge of the bottleneck. *Checked: a tie frees the span again.*

# %% [markdown]
# ## Derivation
#
# For a given span the best map is $P W^*$, and the loss is $E\|c\|^2 - \mathrm{tr}(P G)$ summed over languages. The
# largest $\mathrm{tr}(PG)$ is $\rho_1 + \dots + \rho_r$ (Ky Fan 1949). The leading eigenspace alone reaches it if
# $\rho_r > \rho_{r+1}$, which is (2). Every span reaches it if $G = I$; for one language with $\mathrm{Cov}(c) = I$,
# $G = T^\top (T T^\top)^{-1} T = I$ whatever the invertible $T$, which is (1).
#
# A tie of $t$ equal ratios, $j$ of which fit, leaves $j(t - j)$ directions of spans flat. With one language that is
# $r(d - r)$, beside the $r^2$ of (3).

# %% [markdown]
# ## Decision rule
#
# As stated, the corollary is *refuted* if the best unrestricted map of one language has positive curvature in every
# direction and its rotations lose. As corrected, it is *proved* when three things hold: the residues of the first table
# vanish; flat directions are as many as counted, at the closed form and at trained nets; seeds and turned spans behave
# as (1), (2) and the controls say.

# %%
display(tables.residues(theory.prove_gauge_breaking()), tables.rules(CLAIMS))

# %% [markdown]
# ## Assumption checks
#
# The claim as stated, for one language and an unrestricted map: is any rotation of it as good?

# %% tags=["tol-0.001"]
result = gauge.gauge_breaking(rng=lab.rng["gauge"], n_seeds=n_seeds, n_orbit=n_orbit)
result.full_map.round(6)

# %% [markdown]
# ## Prediction
#
# Before computing, for $d = 6$ and $r = 2$: 12 flat directions with one language and 4 with two; 36 in both cases where
# $r = d$. Seeds overlap by about $1/3$ with one language and by 1 with two. The anisotropic target breaks the symmetry
# with one language (4 directions), the anisotropic $T$ does not (12), and the tie adds one to the 4.

# %% tags=["tol-0.001"]
assert result.table["excess of trained"].abs().max() < 1e-10
result.table.drop(columns="excess of trained").round(4)

# %% [markdown]
# ## Controls
#
# *Would it say "proved" if the statement were false?* Wrong accounts of what is free go through the same rule.

# %%
assert (result.wrong["verdict"] == "proved").tolist() == [True, *[False] * (len(result.wrong) - 1)]
display(result.wrong)

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.001"]
figures.orbit_and_overlap(result.orbit.round(9), result.overlaps.round(9))

# %% [markdown]
# ## Sensitivity
#
# How small a gap still fixes the span? Overlap of seeds as the two ratios at the edge of the bottleneck approach each
# other, and the steps that training takes for it.

# %% tags=["tol-0.001"]
gauge.closing_gap(rng=lab.rng["closing gap"]).round(4)

# %% [markdown]
# ## Verdict

# %%
display(*lab.record(CLAIM, [claims.evaluate(CLAIM, result.evidence)]))

# %% [markdown]
# ## What this shows, and what it does not
#
# A second language selects *which* directions pass a bottleneck. So does a target that is not isotropic: seeds that agree
# are no proof that several languages made them agree. The basis in which a trained bottleneck writes those directions is
# arbitrary in all cases, so that coordinates of two models mean nothing side by side before they are aligned. Nonlinear
# bottlenecks have smaller gauges and are not covered.
#
# What would change the verdict: a problem with $\rho_r > \rho_{r+1}$ on which seeds end in different spans.

# %% tags=["nbval-ignore-output"]
files.provenance()
