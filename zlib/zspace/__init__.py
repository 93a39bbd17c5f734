"""zspace: a laboratory for the space that languages share inside a language model.

The package reads top to bottom in the order data flows: `sources` (texts, models), `states` (hidden states on
disk), `measures` and `series` (numbers with their nulls), `evidence` (rules, verdicts, figures) and `pages`
(batches, report, command line); `theory` has what is proved. A text becomes a number on the page by way of
`sources.corpora` and `sources.models`, `states.subjects` (which captures, imports or reads),
`evidence.language_pairs`, the measures, `evidence.study`, `rules` and `claims` (the ledger), `pages.report`.
Importing the package loads no deep-learning library.
"""

__version__ = "0.1.0"
