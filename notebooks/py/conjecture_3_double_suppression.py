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
# # Conjecture 3. What layers add is not suppressed twice; where languages conflict it can be largest
#
# *Kind:* conjecture, about linear nets, trained nonlinear nets and a language model. *Depends on:* theorems 1 and 2.
# *Source:* the note's third conjecture. Its derivation is lost.
#
# The conjecture says that what a layer adds hardly differs between languages, for two reasons. Inside Z the languages
# agree. Outside Z the layer adds little.
#
# This would follow if every layer were the best map by itself. But layers are trained together. In linear nets one can
# work out what that changes: the conjecture fails, and a layer can even add *most* where languages conflict. In
# nonlinear nets, whose Z is known because we made their world, and in a language model it is measured.

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
from zspace import files, theory
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.double_suppression import figures, linear_nets, models, networks

CLAIMS = [linear_nets.CLAIM, networks.CLAIM, models.CLAIM]
lab = laboratory.open_lab(globals(), streams=("error rates", "pairs", "models", "linear nets", "networks", "other networks"))

# %% [markdown]
# ## Statement
#
# Our reading: the note applies theorem 1 to every layer by itself. Three claims follow, on three kinds of networks.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $\rho_i$, $Z$, $Z^\perp$ | agreement ratios of theorem 1; the more and the less agreeing half of the directions | $(d,)$ |
# | $W_k$, $A_k = W_k - I$, $L$ | layer of a plain net, what a layer of a residual net adds, number of layers | $(d, d)$ |
# | $h_k$, $f_k$, $\delta_k$ | state, what the layer adds to it, difference of that between two languages | $(n, d)$ |
# | $q_k = E\|\delta_k\|^2/\sigma_k^2$ | how much what is added differs between languages, 1 if unrelated; $\tilde q_k$ with cross-terms (theorem 2) | $(L,)$ |
# | agreement gap | $q(Z^\perp) - q(Z)$, mean over inner layers: first suppression | scalar |
# | gain gap | log of $E\|f_k\|^2 / E\|h_k\|^2$ in $Z$ minus that in $Z^\perp$, mean over inner layers: second suppression | scalar |
#
# (1) Plain net, white inputs, balanced layers, at the minimum: every layer has singular values $\rho_i^{1/(2L)}$. Only
# their product is $\sqrt{\rho_i}$.
#
# (2) Residual net, target symmetric positive in the basis of the stream: $A_k$ has eigenvalues $\rho_i^{1/(2L)} - 1$.
# They are largest in size where $\rho_i$ is small, and so is $\sum_k E\|\delta_k\|^2$.
#
# (3) A target that is turned against the stream can reverse the order of (2).

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Linear nets: exact moments, gradient descent, balanced first weights (residual: zero). *Taken; standard
#   first weights are shown beside.*
# - **A2.** For (2), a target that is symmetric positive in the basis of the stream. *Checked by turning it, (3).*
# - **A3.** In nonlinear nets and in a model, $Z$ is that of theorem 1 with the item as content. It is fitted to the
#   discovery items, after principal components. *Checked on the other items.*
#
# ## Derivation
#
# For (1): under gradient flow of any loss of $W_L \cdots W_1$, $W_{k+1}^\top \dot W_{k+1} = \dot W_k W_k^\top$. So
# balanced layers stay balanced and have the same singular values. Their product is $\sqrt{\rho_i}$ by theorem 1. Each
# is its $L$-th root.
#
# For (2): from $A_k = 0$ all layers stay equal and symmetric, so that $(1 + a_i)^L = \sqrt{\rho_i}$. Between two
# languages of equal share, the difference in direction $i$ enters with energy $4(1 - \rho_i)$. Summed over the layers,
# what is added to it falls as $\rho_i$ rises. A single late layer may break the order: the early ones leave it little
# to shrink.
#
# ## Decision rule
#
# What had been seen when a rule was last revised stands under "Statement". For Gemma 3 270M on number-stories this
# run is therefore exploratory; another model or corpus confirms.
#
# *Linear nets:* one counterexample refutes. The corrected form is proved when the symbolic residues vanish and trained
# nets meet (1) to (3).
#
# *Nonlinear nets and a model:* first, the split into $Z$ and $Z^\perp$ has to hold on new items, else nothing is
# testable. *Supported*: the lower limit of both gaps' excess over every kind of control lies above the bound.
# *Refuted*: the upper limit of one gap's excess over one kind lies below it. For nonlinear nets, whole networks are
# resampled, from seeds that nobody had looked at.
#
# How often the rule for a model errs stands under "Verdict": its simulated worlds are of this run's size.

# %%
tables.rules(CLAIMS)

# %% [markdown]
# ## Assumption checks
#
# Is the split real (A3)? `agreement Z` and `agreement perp` are apart even for shuffled pairs, because directions
# were chosen for that. `held_out_agreement` says how much of that is left on the other items: by how much the
# languages' distance, relative to the size of the states, is smaller in $Z$ than in $Z^\perp$. It is near 0 where $Z$
# is noise. `held_out_variance` is the share of the directions' variance that is left there; 1 would be no loss.
#
# The last table is of nonlinear nets: the agreement ratios that theorem 1 gives for the world we made, and those found
# in the nets' first state.

# %% tags=["tol-0.02"]
texts = lab.load()
pairs = lab.open_pairs(texts)
result = models.double_suppression(pairs, rng=lab.rng["models"])
shown = result.gaps[result.gaps["subject"].isin(["trained", "random-0", "shuffled pairing"])]
nonlinear = networks.network_suppression(rng=lab.rng["networks"])
known = nonlinear.spectra.groupby("direction")[["known", "found"]].mean().T
display(shown.set_index(["language", "subject"]).round(3), known.round(3))

# %% [markdown]
# ## Prediction
#
# Before looking: the residues are zero and trained linear nets follow (1) to (3), as the numbers below should say. In
# nonlinear nets on worlds that are turned at random no direction of the stream is special, so that neither gap should
# exceed the controls'. For the model there is no prediction.

# %% tags=["tol-0.001"]
nets = linear_nets.layer_suppression(rng=lab.rng["linear nets"])
display(tables.residues(theory.prove_layer_spectrum()), nets.numbers.map("{:.4f}".format))

# %% [markdown]
# ## Controls
#
# First: other powers of $\rho$ under the rule for linear nets; none may be proved. Then every control of the nonlinear
# nets and of the model under its own rule. *Surrogates* are contributions that know nothing of $Z$, on the model's own
# states. *Suppression planted* writes into shuffled states as the conjecture says, *reversed* the other way round.

# %% tags=["tol-0.02"]
verdicts = {
    linear_nets.CLAIM: [claims.evaluate(linear_nets.CLAIM, nets.evidence)],
    networks.CLAIM: [claims.evaluate(networks.CLAIM, nonlinear.evidence)],
    models.CLAIM: claims.evaluate_scope(models.CLAIM, result.evidence[models.CLAIM]),
}
display(nets.wrong.round(4), *(tables.controls(verdicts[claim]).round(3) for claim in CLAIMS[1:]))

# %% [markdown]
# ## Evidence
#
# Linear nets, then both gaps of nonlinear nets by layer (means over networks and languages), then the model: both
# gaps, and $\tilde q$ inside and outside $Z$. The grey band holds the gain gap of the random-weight baselines. The
# rule compares means over the inner layers with every control (table above), not layers with the band.

# %% tags=["tol-0.001"]
figures.layer_spectra(nets.spectra)

# %% tags=["tol-0.02"]
nonlinear.curves.groupby(["subject", "layer"], sort=False)[["gain_gap", "agreement_gap"]].mean().unstack("layer").round(3)

# %% tags=["tol-0.02"]
figures.split_curves(result.curves, {v.language: v.as_corrected for v in verdicts[models.CLAIM][1:]})

# %% tags=["tol-0.02"]
figures.quality_curves(result.curves)

# %% [markdown]
# ## Sensitivity
#
# The figure turns the target of linear nets (3). The first table has nonlinear nets whose dimensions are taken as
# they are, and nets in worlds whose flag lets the network undo the language. The second has the model's gaps under
# other choices.

# %% tags=["tol-0.02"]
other_nets = networks.sensitivity(rng=lab.rng["other networks"])
display(figures.rotation_curve(nets.rotations), other_nets.round(3), models.sensitivity(pairs).round(3))

# %% [markdown]
# ## Verdict
#
# The table says how often the rule for a model errs on stacks of two layers with known gains, with the items, scenarios,
# split and number of baselines of this run. They go through what the model's states went through. Noise makes $Z$ about
# as hard to find there as in a model, so that many worlds of a small corpus are not testable.

# %% tags=["tol-0.12"]
operating = lab.error_rates(models.worlds(pairs, result))
tables.operating(operating).round(3)

# %% tags=["tol-0.02"]
for claim in CLAIMS[:2]:
    display(*lab.record(claim, verdicts[claim]))
display(*lab.record(models.CLAIM, verdicts[models.CLAIM], texts=texts, pairs=pairs, operating=operating[models.CLAIM]))

# %% [markdown]
# ## What this shows, and what it does not
#
# *Linear nets.* As a law of layers the conjecture is false even where theorem 1 holds exactly. Training together
# spreads $\sqrt{\rho}$ over all layers; trained one by one, the first layer takes all of it (last rows of the
# numbers). The skip connection turns small singular values into large contributions.
#
# *Nonlinear nets.* Items are many and $Z$ is known, so that the measure is sharp. But these worlds are turned at
# random: nothing ties the target to the basis of the stream, which decides the order in linear nets.
#
# *The model.* The verdict is about a few leading components, estimated from few items. Contributions that know nothing
# of $Z$ have gaps of their own there, which is why only an excess over surrogates and baselines counts.
#
# What would change the verdict: for linear nets, nothing. For nonlinear nets, worlds whose transforms share a basis
# with the target. For a model, more scenarios.

# %% tags=["nbval-ignore-output"]
files.provenance()
