"""From numbers to verdicts.

There is one folder per question. Its docstring says where the evidence, the simulated worlds and the figures
of each claim are. What all of them use stands beside the folders: `language_pairs` (states of a pair under
every control), `study` (judges all subjects alike), `rules` and `claims` (from evidence to a verdict),
`error_rates` (how often a rule errs), `simulated_pairs` (worlds that it is judged in), `null_battery` (all
rules in all of them), `registration` (which rows confirm), `measured` (rows of other machines), `laboratory`,
`tables` and `theme` (what a notebook calls and shows).
"""
