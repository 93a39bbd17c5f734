"""From numbers to verdicts, one folder per question.

`rules` and `claims` judge, `language_pairs` holds what is judged, `study` treats all subjects alike,
`error_rates` measures how often a rule errs; every folder holds a question's evidence and its figures.
"""
