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
# Everything below is read from the ledger, to which each notebook writes its verdicts: nothing is
# computed anew and nothing is typed by hand. By default it is the snapshot of the last published run;
# a batch passes its own.

# %% tags=["parameters"]
ledger = "data/ledger.json"  # folder or file of verdicts

# %%
from zspace import files
from zspace.evidence import claims, summary_figures, tables, theme

theme.prepare_notebook()
everything = claims.read_ledger(ledger)
table = tables.measured(everything)
print(f"{table['claim'].nunique()} claims, {table['language'].nunique() - 1} languages, {len(table)} verdicts")
tables.unmeasured(everything)

# %% [markdown]
# ## Mathematics and synthetic worlds
#
# Claims that are about no language model.

# %%
tables.without_model(table)

# %% [markdown]
# ## Language models: as corrected
#
# A figure a model, and one more where it was read on other corpora than the built-in one; one row a claim; the column *all* holds the verdict on all languages together.

# %%
for verdicts in tables.by_model(table):
    summary_figures.verdict_map(verdicts, "as_corrected").show()

# %% [markdown]
# ## Language models: as stated in the note

# %%
for verdicts in tables.by_model(table):
    summary_figures.verdict_map(verdicts, "as_stated").show()

# %% [markdown]
# ## Estimates
#
# The primary statistic of each claim with its 95 % interval, the smallest effect that would count, and
# the error rates of its rule: how often it would say *supported* with the effect just on the bound, and
# with a planted one.

# %%
shown = ["claim", "model", "language", "as_corrected", "estimate", "low", "high", "minimal_effect", "null_supported", "power"]
table[table["estimate"].notna()][shown].round(3).set_index(["claim", "model", "language"])

# %% tags=["nbval-ignore-output"]
files.provenance()
