"""Do layer updates cluster while a model reasons?

claim : evidence; simulated worlds; figures
conjecture_6_garch : `garch.garch_evidence`; none, it is proved; `figures`
conjecture_6_reasoning_momentum : `solutions.momentum_by_condition`; `solutions.worlds`; `figures`
conjecture_6_in_all_traces : `solutions.momentum_by_condition`; `solutions.worlds`; `figures`

`regime_changes` has changes of regime, which no claim is about.
"""
