"""zspace: a laboratory for the space that languages share inside a language model.

The package reads top to bottom in the order data flows: `sources` (texts, models), `states`
(hidden states on disk), `measures` (numbers with their nulls), `evidence` (rules, verdicts,
figures) and `pages` (batches, report, command line). Importing it loads no deep-learning library.
"""

__version__ = "0.1.0"
