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
# # Summary: what holds, in which model and language
#
# Everything below is read from the ledger, to which each notebook writes its verdicts. Nothing is computed anew and
# nothing is typed by hand. By default it is the snapshot of the last published run; a batch passes its own.

# %% tags=["parameters"]
ledger = "data/ledger.json"  # folder or file of verdicts

# %%
from IPython.display import display
from zspace import files
from zspace.evidence import claims, laboratory, summary_figures, tables

laboratory.open_lab(globals())
everything = claims.read_ledger(ledger)
table = tables.measured(everything)
display(tables.counts(table), tables.unmeasured(everything))

# %% [markdown]
# ## Mathematics and synthetic worlds
#
# Claims that are about no language model.

# %%
tables.without_model(table)

# %% [markdown]
# ## Language models: as corrected
#
# One figure per model, and one more where it was read on other corpora than the built-in one. One row per claim. The
# column *all* holds the verdict on all languages together.

# %%
for verdicts in tables.by_model(table):
    summary_figures.verdict_map(verdicts, "as_corrected").show()

# %% [markdown]
# How many of the verdicts on all languages together decide. The reason of each that does not says what would.

# %%
tables.decided(table).round(2)

# %% [markdown]
# ## Language models: as stated in the note

# %%
for verdicts in tables.by_model(table):
    summary_figures.verdict_map(verdicts, "as_stated").show()

# %% [markdown]
# ## Estimates
#
# The primary statistic of each claim, the smallest effect that would count, and the error rates of its rule: how often
# it says *supported* without an effect or with one on the bound (`null_supported`), and with a large one (`power`).
# An interval has its 95 % limits; a test and a count have none.

# %%
shown = ["claim", "model", "language", "as_corrected", "estimate", "low", "high", "minimal_effect", "null_supported", "power"]
table[table["estimate"].notna()][shown].round(3).set_index(["claim", "model", "language"])

# %% [markdown]
# ## What would change a verdict
#
# The last section of each notebook says it. A verdict speaks of its model, corpus and language only.

# %% tags=["nbval-ignore-output"]
files.provenance()
