# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: notebooks///ipynb,notebooks/py///py:percent
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
# Everything below is read from the ledger, to which each notebook writes its verdicts. Nothing is
# computed anew and nothing is typed by hand.

# %% tags=["parameters"]
ledger = ""  # folder or file of verdicts; empty: the ledger of this runs root

# %%
from zspace import files
from zspace.evidence import claims, plots

plots.prepare_notebook()
table = claims.read_ledger(ledger or files.runs_root() / "ledger")

# %% [markdown]
# ## Verdicts as corrected

# %% tags=["nbval-ignore-output"]
plots.verdict_map(table, "as_corrected")

# %% [markdown]
# ## Verdicts as stated in the note

# %% tags=["nbval-ignore-output"]
plots.verdict_map(table, "as_stated")
