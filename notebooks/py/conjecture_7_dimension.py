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
# # Conjecture 7, dimension. Two languages share more dimensions in a trained model than in untrained ones
#
# *Kind:* conjecture on a language model. *Depends on:* nothing. `conjecture_7_rank` shows why a cointegration rank does
# not measure this. *Source:* the note's seventh conjecture, which equates a rank with dim Z.
#
# How many directions does the state of a problem have in common between two languages? We ask at a fixed layer, across
# problems, with no time axis. Two texts with the same content share something even for a model that has learned
# nothing. So the question is by how much a trained model shares *more* than models without training.

# %% tags=["parameters"]
model = "gemma-3-270m"  # name in params/models.yaml, hub id, folder, or name of imported states
corpus = "number-stories"  # name, hub id, folder or file
version = ""  # "spelled-out" or "digits", "masked" or "as-is" for other corpora; "" takes the first that fits
languages = "en,zh,fr,sw,es,de"  # the first one is the anchor
n_scenarios = 15  # scenarios of number-stories
n_draws = 4  # items per scenario
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
from zspace.evidence.shared_subspace import figures, known_dimension, shared_dimension

CLAIM = shared_dimension.CLAIM
CLAIMS = [CLAIM]
# one list of streams for the three notebooks of conjecture 7
STREAMS = ("pairs", "layers as time", "what a rank counts", "networks", "dimension", "speeds", "all pairs", "known worlds", "error rates")
lab = laboratory.open_lab(globals(), streams=STREAMS)

# %% [markdown]
# ## Statement
#
# Our reading of *dimensions in which languages move together*: directions whose coordinate in one language predicts a
# coordinate in the other, over problems. These are canonical correlations. The note names no layer; we average over
# the inner ones.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x_k$, $y_k$ | states of both languages at layer $k$, in leading principal components | $(n, p)$ each |
# | $r_{ki}$ | correlation over confirmation items, along the $i$-th pair of directions, fitted to discovery items | $(p,)$ per layer |
# | shared variance | $\sum_i r_{ki}^2$ over positive $r_{ki}$, mean over inner layers: a dimension that both languages carry alike counts 1 | scalar |
# | dimension | number of canonical correlations that a sequential test finds, whole scenarios moved; a lower bound | scalar per layer |
# | excess | shared variance minus that of the kind of control that comes closest; random-weight baselines count on average | scalar per language |

# %%
tables.statement(CLAIMS)

# %% [markdown]
# ## Assumptions
#
# - **A1.** Row $i$ is the same problem in both languages. *Held by the corpus loader.*
# - **A2.** Scenarios are exchangeable; items of one scenario are not independent. *Taken; tests and intervals move
#   whole scenarios.*
# - **A3.** A few principal components of standardised dimensions stand for a state. *Taken; their number is shown
#   under "Assumption checks" and varied under "Sensitivity". The dimension cannot exceed it.*
#
# ## What would refute it
#
# There is nothing to derive: this is a measurement. It is refuted where the excess over the *lowest* control lies
# below the bound. Directions are fitted to other scenarios than those on which they are judged, because in the sample
# canonical correlations are large even between unrelated languages.

# %% [markdown]
# ## Decision rule
#
# What had been seen when the rule was last revised stands under "Statement". For Gemma 3 270M on number-stories this
# run is therefore exploratory; another model or corpus confirms. The rule judges the shared variance, not the dimension:
# a variance needs no level of significance, and every control has one too. Its error rates stand under "Verdict".

# %%
tables.rules(CLAIMS)

# %% [markdown]
# ## Assumption checks
#
# How many items there are, how many of them are judged, and how many components they allow (A3).

# %%
texts = lab.load()
pairs = lab.open_pairs(texts)
shared_dimension.sizes(pairs)

# %% [markdown]
# ## Prediction
#
# Before looking at a model: the method finds a dimension that is known. In synthetic worlds some coordinates are the
# same in both languages, and networks learn a task on them. The first table says how often the test finds the planted
# number. The figure shows networks: every layer should keep the shared coordinates of its input.
#
# The second table has the cointegration rank of the same networks' positions through depth. It differs from the known
# number, and `constancy` is the p-value of the condition under which it would mean anything.

# %% tags=["tol-0.15"]
known = known_dimension.network_dimensions(rng=lab.rng["networks"])
display(known_dimension.recovered(rng=lab.rng["known worlds"]), known_dimension.mean_ranks(known).round(3))
figures.network_dimensions(known)

# %% [markdown]
# ## Controls
#
# Each control is judged by the rule that judges the model. The planted signal has three shared coordinates.

# %% tags=["tol-0.05"]
result = shared_dimension.dimension_by_layer(pairs, rng=lab.rng["dimension"])
verdicts = claims.evaluate_scope(CLAIM, result.evidence)
tables.controls(verdicts).round(3)

# %% [markdown]
# ## Evidence
#
# The claim holds where the coloured line lies well above the grey band of random-weight baselines. The table counts
# dimensions in the trained model by layer. In brackets: their range over halves of the scenarios. A half has less power
# and finds fewer, or a few too many.

# %% tags=["tol-0.05"]
figures.dimension_curves(result.curves, {v.language: v.as_corrected for v in verdicts})

# %% tags=["tol-0.05"]
shared_dimension.dimension_table(result.curves)

# %% [markdown]
# ## Sensitivity
#
# All pairs of languages: the dimension, mean over inner layers and at its largest. Then the shared variance with more
# components, beside that of shuffled pairs, and with the dimensions of the stream as they are.

# %% tags=["tol-0.1"]
every_pair = shared_dimension.all_pairs(pairs, texts.languages[0], rng=lab.rng["all pairs"])
display(every_pair.set_index(["first", "second"]).round(3), shared_dimension.by_components(pairs, (2, 3, 5)).unstack().round(2))

# %% [markdown]
# ## Verdict
#
# The table says how often the rule errs on simulated language pairs. They are like those of this run: its items,
# scenarios and split, as many baselines that differ as much from seed to seed, and states that are as wide and as
# alike within a scenario; layers and dimensions are fewer. All of them go through what the model's states went
# through. The true effect is a multiple of the bound, or the trained model is *one more baseline* (none).

# %% tags=["tol-0.12"]
operating = lab.error_rates(shared_dimension.worlds(pairs, result))
tables.operating(operating).round(3)

# %% tags=["tol-0.05"]
display(*lab.record(CLAIM, verdicts, texts=texts, pairs=pairs, operating=operating[CLAIM]))

# %% [markdown]
# ## What this shows, and what it does not
#
# *Supported* means that both languages tell problems apart alike, in more directions than untrained models do. It does
# not say that they do so in the *same* directions: canonical correlations do not see a rotation or a stretch.
#
# The number is a lower bound. Weak shared directions are missed, and no more can be found than there are components.
# What an untrained model shares comes from its text alone, so that a low excess is not the same as sharing nothing.
#
# What would change the verdict: more scenarios, which allow more components and narrower intervals.

# %% tags=["nbval-ignore-output"]
files.provenance()
