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
# # Conjecture 5. Harder problems keep the layers busier, which does not make them align deeper
#
# *Kind:* conjecture, in closed form and on a language model. *Depends on:* theorem 2.
# *Source:* the note's fifth conjecture. Its gap is named in the note itself: what a layer adds to all items grows as
# well, so that the sign is open.
#
# A harder problem makes more layers write, and whatever a layer writes differs a little between languages; so, the
# argument goes, the difference is gone later. But busy layers also add what languages share. Which of the two wins
# can be worked out.

# %% [markdown]
# ## Statement
#
# **As stated:** harder problems have more active layers (large $\|f_k\|$), each of which adds $\delta_k$; they align
# deeper.
#
# **As corrected:** theorem 2 reads $r_{k+1} - r_k = \tilde w_k(\tilde q_k - r_k)$. Without cross-terms the SNR after
# $k$ alike layers is $(r_0 + qks)/(1 + ks)$ with $s$ the energy of a contribution: it moves from $r_0$ towards $q$, the
# faster the more is added (1). Activity alone therefore makes alignment *earlier* wherever layers lower the SNR at
# all; only contributions that agree less, a larger $q$, make it later (2). On a model both are measured (3).
#
# | symbol | meaning | shape |
# |---|---|---|
# | $r_k$ | SNR $D_{same}/D_{diff}$ of state $k$: noise over signal, lower is better | $(L+1,)$ |
# | $\sigma_k^2$, activity | $E\|f_k(x) - f_k(x')\|^2$; its logarithm, mean over layers | $(L,)$ |
# | $q_k$, conflict | $E\|\delta_k\|^2/\sigma_k^2$; mean over layers | $(L,)$ |
# | $\tilde q_k$, $\tilde w_k$ | the same with cross-terms, and the layer's weight | $(L,)$ |
# | slope | change of activity, conflict or $\log r$ a level of difficulty | scalar a language |
# | excess | slope minus that of the highest twin; its upper limit is taken over the lowest | scalar a language |

# %% [markdown]
# ## Assumptions
#
# - **A1.** Closed form: contributions without cross-terms and of one quality. *Taken; sampled stacks go through the full accounting.*
# - **A2.** Difficulty is the number of operations that a story tells; every scenario is told at all levels. *Checked when the panel is read.*
# - **A3.** Levels differ in difficulty only. *Not so in general: harder stories are longer and tell more numbers. Sentences that change nothing are added until all levels tell equally many numbers; under "Sensitivity", until they are equally long.*
# - **A4.** The mean of a language and level, from discovery items, is no part of a problem. *Subtracted: it holds what separates languages, and the padding.*

# %% [markdown]
# ## Derivation
#
# With $D_{same}' = D_{same} + q\sigma^2$ and $D_{diff}' = D_{diff} + \sigma^2$ at every layer, $r_k = (r_0 + qks)/(1 +
# ks)$, $s = \sigma^2/D_{diff}(0)$. Its derivative in $s$ has the sign of $q - r_0$, that in $q$ is positive, and the threshold $t$
# is passed at $k = (r_0 - t)/((t - q)s)$: scaling all contributions by $g$ divides depth by $g^2$.

# %% tags=["parameters"]
model = "gemma-3-270m"  # name in params/models.yaml, hub id, folder, or name of imported states
corpus = "number-stories"  # name, hub id, folder or file; another one needs a column of difficulties
version = "spelled-out"  # or "digits"; "masked" or "as-is" for other corpora
languages = "en,zh"  # the first one is the anchor
levels = "1,2,3"  # operations an item, each a level
n_scenarios = 24  # scenarios of number-stories
n_draws = 1  # items a scenario and level
padding = "numbers"  # sentences that change nothing: "none", "sentences" or "numbers"
n_items = 0  # first rows of another corpus; 0 takes all
seed = 0  # root of every random stream
n_re_rounded = 0  # times that quantised weights are re-rounded; a verdict that flips is inconclusive
recorded = "data/generation_traces.npz"  # solutions whose length is a difficulty; "" leaves that out
written = "fr"  # languages of those solutions to read
n_simulations = 40  # simulated worlds of each kind for the operating characteristic

# %%
import numpy as np
from IPython.display import display
from zspace import files, theory
from zspace.evidence import claims, error_rates, language_pairs, tables, theme
from zspace.evidence.alignment_depth import activity, figures, problem_depth
from zspace.sources import corpora

PACE, MODEL = activity.IN_THEORY, activity.IN_MODELS
streams = np.random.default_rng(seed).spawn(4)
theme.prepare_notebook()

# %% [markdown]
# ## Decision rule
#
# Stated before the data of this run. In closed form the conjecture
# is *refuted* by a gain that makes alignment earlier and its corrected form *proved* when the residues vanish and sampled
# stacks follow. On a model a slope has to exceed that of every twin to support; activity planted alone must not pass.

# %% tags=["tol-0.12"]
options = dict(version=version, difficulty=[int(level) for level in levels.split(",")], n_scenarios=n_scenarios, n_draws=n_draws, seed=seed, n_items=n_items)
texts, others = (corpora.load(corpus, languages.split(","), padding=one, **options) for one in (padding, "sentences"))
operating = error_rates.operating_characteristic(MODEL, texts, rng=np.random.default_rng(seed).spawn(9)[8], n_simulations=n_simulations)
display(theory.prove_pace(), tables.rules([PACE, MODEL]), tables.operating({MODEL: operating}).round(3))

# %% [markdown]
# ## Assumption checks
#
# What the padding does: mean tokens an item by level, in the anchor and in the other language.

# %% tags=["tol-0.02"]
variants = [v for v in language_pairs.variants(n_re_rounded) if v.kind in ("trained", "random", "re-rounded")]
pairs = language_pairs.open_panels(model, texts, rng=streams[0], variants=variants, progress=False)
difficulty = texts.items["difficulty"].to_numpy()
activity.lengths_by_level(pairs, difficulty).round(1)

# %% [markdown]
# ## Prediction
#
# Before looking at a model: depths 17, 8 and 5 for contributions times 1, 1.5 and 2 in closed form. On the model,
# activity rises with difficulty, and the SNR falls with it or stays.

# %% tags=["tol-0.1"]
pace, depths = activity.pace_evidence(rng=streams[1])
depths.round(3)

# %% [markdown]
# ## Controls
#
# Twins, levels permuted within scenarios, a planted dependence of activity and conflict on the level, and
# activity planted alone, each under the rule that judges the model.

# %% tags=["tol-0.03"]
result = activity.activity_by_difficulty(pairs, difficulty, rng=streams[2])
verdicts = {MODEL: claims.evaluate_scope(MODEL, result.evidence), PACE: [claims.evaluate(PACE, pace)]}
tables.controls(verdicts[MODEL]).round(3)

# %% [markdown]
# ## Evidence

# %% tags=["tol-0.001"]
figures.pace_curves(depths)

# %% tags=["tol-0.02"]
figures.snr_by_level(result.levels, {v.language: v.as_stated for v in verdicts[MODEL][1:]})

# %% tags=["tol-0.02"]
result.slopes.pivot(index="subject", columns="language", values=list(activity.SLOPES)).round(3)

# %% [markdown]
# ## Sensitivity
#
# Other choices; then, in place of levels, a scenario's story that the model solves in more tokens against the one that takes fewer.

# %% tags=["tol-0.03"]
other = language_pairs.open_if_there(model, others, variants=language_pairs.FEW_VARIANTS, rng=streams[3], progress=False)
display(activity.sensitivity(pairs, other, difficulty).round(3))
lengths = problem_depth.read_generation_lengths(model, recorded, written.split(","), rng=np.random.default_rng(seed).spawn(5)[4])
activity.by_generation_length(lengths, rng=np.random.default_rng(seed).spawn(6)[5]).round(3)

# %% [markdown]
# ## Verdict

# %% tags=["tol-0.03"]
for claim, name, place in ((PACE, "any", "any"), (MODEL, model, texts)):
    claims.record(
        claim, verdicts[claim], model=name, corpus=place if place == "any" else f"{texts.name}/{texts.version}",
        operating=None if place == "any" else operating, provenance=files.provenance(),
        scope={} if place == "any" else language_pairs.scope(texts, pairs),
    )  # fmt: skip
    display(tables.verdicts(verdicts[claim]).round(3), tables.reasons(verdicts[claim]))

# %% [markdown]
# ## What this shows, and what it does not
#
# The step from "busier" to "deeper" is a wrong sign: what a layer adds to all items grows as well. On the model the
# table of slopes says which of the two moved with difficulty. It is one kind of difficulty, the number of
# operations in a story, read by models that need not solve any of it; and items of a harder level, whose padding is
# replaced by what is told, also differ more from each other, which is activity too. An association on a fixed
# model: nothing here varies difficulty by itself.
#
# What would change the verdict: in closed form, nothing. On a model, a corpus in which difficulty changes and the told content does not.

# %% tags=["nbval-ignore-output"]
files.provenance()
