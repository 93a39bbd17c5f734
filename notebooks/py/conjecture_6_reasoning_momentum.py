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
# # Conjecture 6. Reasoning momentum: does a layer's activity cluster over generated tokens?
#
# *Kind:* conjecture, about a likelihood and on a language model. *Depends on:* nothing else here.
# *Source:* the note's sixth conjecture.
#
# While a model writes a solution, each of its layers adds much at some tokens and little at others. The note fits a
# GARCH(1,1) to this activity. If active phases cluster, it speaks of *momentum of reasoning*, and of an "aha moment"
# where the regime changes.
#
# Clustering alone shows little: text clusters too, and a level that differs from sentence to sentence looks like
# momentum. So the activity is compared with that of the same model when it merely *copies* the same tokens, when it
# reads *plain* stories, and with models of random weights, on whole series and within sentences. Of a GARCH only the
# naive reading falls: $\beta$ alone is significant in series without any order; $\alpha$ and $\beta$ together, or a
# likelihood ratio, are not.

# %% tags=["parameters"]
model = "gemma-3-270m"  # whose recordings these are
recorded = "data/generation_traces.npz"  # a file of recordings; "" records anew what the runs folder lacks
languages = "de,fr,sw"  # languages of the recordings to read
layer = 9  # block whose contributions are tested
n_simulations = 40  # simulated worlds of each kind for the error rates
n_live = 2  # solutions read again by the model, to compare with the recording
seed = 0  # root of every random stream

# %%
from IPython.display import display
from zspace import files, theory
from zspace.evidence import claims, laboratory, tables
from zspace.evidence.momentum import across_languages, answers, figures, garch, regime_changes, solutions
from zspace.states.generation import solving

CLAIMS = [garch.CLAIM, solutions.CORRECT, solutions.ALL, answers.CLAIM, across_languages.CLAIM]
STREAMS = ("error rates", "garch", "power", "momentum", "layers", "one trace", "steps", "turns", "literal garch", "bars", "answers", "gaps")
lab = laboratory.open_lab(globals(), streams=STREAMS)

# %% [markdown]
# ## Statement
#
# The note writes $y_t = \|\delta^{(t)}\|^2$. Three readings are possible:
#
# - **A.** $\delta$ is a difference between languages. Not testable as it stands: in free generation, step $t$ of one
#   language corresponds to no step of the other, and recordings hold sizes of updates. What can be tested is the gap
#   at the lines that two solutions of one problem have in common.
# - **B.** $y_t = \|f_l\|^2$ is the size of what one layer adds at token $t$, in one language. This is our reading.
# - **C.** A GARCH of that series as it stands. Shown under "Sensitivity".
#
# | symbol | meaning | shape |
# |---|---|---|
# | $y_t$ | $\|f_l\|^2$ at generated token $t$, one block $l$, one solution | $(T,)$ |
# | $\mu_t$ | $\omega + \alpha y_{t-1} + \beta\mu_{t-1}$, the conditional mean of $y_t$ in a multiplicative error model (MEM) | $(T,)$ |
# | momentum | mean correlation of $y_t$ with its weighted past over six decays, minus its mean over shuffles | scalar per solution |
# | momentum within sentences | the same with the level of each sentence taken out, and shuffles within sentences | scalar per solution |
# | excess | momentum minus that of copying, of plain reading, or the mean of random-weight baselines | scalar |
# | coincidence | share of changes of regime within four steps of an answer beyond chance, of what is left to one | scalar |
# | gap momentum | correlation of the gap between two languages with that of the line before, beyond any order of lines | scalar |
#
# (1) A zero-mean GARCH of $\pm\sqrt{y_t}$ and a MEM of $y_t$ have the same maximum of their likelihoods.
#
# (2) Where $\alpha = 0$, the likelihood does not depend on $\beta$.
#
# (3) The score of $\alpha$ at 0 is $\sum_t(y_t/\mu - 1)\sum_k\beta^k(y_{t-1-k}/\mu - 1)$.

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Text is generated, not looping. *Checked when it is recorded, by repeated 8-grams and the compression ratio.*
# - **A2.** Tokens of one class are exchangeable where nothing clusters. *What position, class and surprisal explain of
#   $\log y_t$ is divided out first; shuffles then stay within classes.*
# - **A3.** Copying is the same text without the reasoning: the model reads its own solution after a prompt that holds
#   it. *Checked: its tokens are then nearly certain.*
# - **A4.** Only correct solutions show reasoning. *Counted. Where they are too few, nothing is tested on them, and all
#   solutions are tested apart.*
#
# ## Derivation
#
# For (1): $\ell_{Gauss}(\pm\sqrt y) = -\frac12\sum(\log 2\pi + \log\mu_t + y_t/\mu_t) = \frac12\ell_{exp}(y) -
# \frac T2\log 2\pi$. The last term is constant.
#
# For (2): with $\alpha = 0$ and $\mu_1$ the mean, $\mu_t$ is constant whatever $\beta$ is. So $\beta$ is not identified,
# and its t-statistic means nothing.
#
# The score (3) needs no estimate of $\beta$. Our test takes its largest value over six $\beta$ and compares it with
# that of shuffled series (*sup-score test*).

# %%
tables.residues(theory.prove_mem())

# %% [markdown]
# ## Decision rule
#
# Clustering counts as reasoning only where it exceeds copying, plain reading *and* random-weight baselines, and does so
# within sentences as well: wherever a model clusters that much while nothing is computed, reasoning explains nothing,
# and levels of sentences are no momentum. Shuffled steps and planted levels of sentences go through the same rule and
# must not pass it. Planted persistence must. The general verdict is of all languages together.

# %% tags=["tol-0.02"]
tables.rules(CLAIMS)

# %% [markdown]
# ## Assumption checks
#
# One row per language: how many solutions were written, are correct (A4), loop (A1) and were kept; then the mean
# surprisal of a token in every condition, in nats. In copying it should be near zero (A3). The second table has the
# first solutions read again by the model: nothing should differ from the recording.

# %% tags=["tol-0.02"]
traces = solving.read(model, recorded, lab.languages)
live = solving.reread(model, traces, n_live)
display(solutions.written(traces), live.round(3))

# %% [markdown]
# ## Prediction
#
# Before looking at a model, on simulated series: $\beta$ is "significant" in many series without order. The sup-score
# test holds its level, and sees clustering in shorter series than Ljung and Box's test does.

# %% tags=["tol-0.05"]
theoretical, numbers = garch.garch_evidence(rng=lab.rng["garch"])
display(numbers.round(3).to_frame("value"), figures.power_by_length(garch.power_curves(rng=lab.rng["power"])))

# %% [markdown]
# ## Controls
#
# Series that were shuffled, shifted or planted, each by the rule that judges the model: for momentum, for changes of
# regime, and for gaps between languages.

# %% tags=["tol-0.02"]
result = solutions.momentum_by_condition(traces, layer, rng=lab.rng["momentum"])
turned = answers.changes_at_answers(traces, layer, rng=lab.rng["answers"])
gaps = across_languages.language_gaps(traces, layer, rng=lab.rng["gaps"])
verdicts = {**result.verdicts(), answers.CLAIM: turned.verdicts(), across_languages.CLAIM: gaps.verdicts()}
display(*(tables.controls(verdicts[claim]).round(3) for claim in CLAIMS[2:]))

# %% [markdown]
# ## Evidence
#
# Bars of all solutions: the claim holds where reasoning stands above copying, plain reading and the grey band, on the
# left and on the right. Then momentum by layer, and one solution, token by token, with its regimes. Last the changes of
# regime that fall on answers (in plain reading: on ends of sentences), and the gaps between languages.

# %% tags=["tol-0.02"]
profile = solutions.layer_profile(traces, rng=lab.rng["layers"])
display(
    figures.momentum_bars(solutions.means(result.momenta, rng=lab.rng["bars"]), verdicts[solutions.ALL][0]),
    figures.momentum_by_layer(profile, {v.language: v.as_corrected for v in verdicts[solutions.ALL]}),
    figures.one_trace(regime_changes.one_trace(traces, layer, rng=lab.rng["one trace"], language=lab.languages[0])),
)

# %% tags=["tol-0.05"]
display(
    figures.condition_bars(turned.table, "coincidence", verdicts[answers.CLAIM][0]), turned.table.round(3),
    figures.condition_bars(gaps.table, "gap momentum", verdicts[across_languages.CLAIM][0]), gaps.table.round(3),
)  # fmt: skip

# %% [markdown]
# ## Sensitivity
#
# Four tables: momentum of the change of the state instead of the update; reading C, beside the same numbers shuffled;
# how many series have two regimes; whether changes of regime lie near events of the text, in reasoning and in copying.

# %% tags=["tol-0.05"]
by_step = solutions.momentum_by_condition(traces, layer, rng=lab.rng["steps"], measure="step").momenta
turning = regime_changes.changes_of_regime(traces, layer, rng=lab.rng["turns"], n_series=4)
display(
    by_step.groupby("language", sort=False)[["reasoning", *solutions.RIVALS]].mean().round(3),
    garch.literal_garch(traces, layer, rng=lab.rng["literal garch"]).round(3), turning.number.round(3), turning.events.round(3),
)  # fmt: skip

# %% [markdown]
# ## Verdict
#
# First how often the rules err, in simulated series as many and as long as the recordings, all languages together.
# Where too few solutions are correct to be tested, the first row is of as many correct ones as were kept.

# %% tags=["tol-0.12"]
worlds = [solutions.worlds(claim, traces, layer) for claim in CLAIMS[1:3]]
operating = lab.error_rates(*worlds, answers.worlds(traces, layer), across_languages.worlds(traces, layer))
tables.operating(operating).round(3)

# %% tags=["tol-0.02"]
display(*lab.record(garch.CLAIM, [claims.evaluate(garch.CLAIM, theoretical)]))
read = {"corpus": solutions.CORPUS, "scope": {**solutions.scope(traces), "layer": layer}}
for claim, found in verdicts.items():
    display(*lab.record(claim, found, operating=operating[claim], **read))

# %% [markdown]
# ## What this shows, and what it does not
#
# *The coefficient.* A significant $\beta$ alone shows nothing. $\alpha$ and $\beta$ together, or a likelihood ratio, keep
# their level.
#
# *The clustering.* It is there as stated. Plain reading says how much of it is there wherever text is read, and the
# comparison within sentences how much is a matter of levels. What exceeds copying alone may still be no reasoning: the
# model does not yet know what comes, and surprisal was divided out only as far as it acts linearly on the log.
# Persistence much longer than a sentence cannot be told from levels of sentences.
#
# *The "aha moment".* A change of regime near an answer, in reasoning and in copying alike, is a change of text.
#
# *Across languages.* The gap is one of sizes: two updates of one size may point anywhere.
#
# What would change the verdict: recordings of a model that solves the stories, so that correct solutions can be tested
# (parameters `model` and `recorded`; each model has rows of its own). For the likelihood, nothing.

# %% tags=["nbval-ignore-output"]
files.provenance()
