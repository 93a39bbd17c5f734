"""Do layer updates cluster while a model reasons?

claim : evidence; simulated worlds; figures
conjecture_6_garch : `garch.garch_evidence`; none, rates are its checks; `figures`
conjecture_6_reasoning_momentum : `solutions.momentum_by_condition`; `solutions.worlds`; `figures`
conjecture_6_in_all_traces : `solutions.momentum_by_condition`; `solutions.worlds`; `figures`
conjecture_6_regime_changes : `answers.changes_at_answers`; `answers.worlds`; `figures`
conjecture_6_across_languages : `across_languages.language_gaps`; `across_languages.worlds`; `figures`

`ratios` has what the last two share; `regime_changes` counts regimes, which no claim is about.
"""
