"""From which layer on are languages aligned, and does that depend on the language or the problem?

claim : evidence; simulated worlds; figures
prediction_3_language_depth : `language_depth.language_depth`; `language_depth.worlds`; `figures`
conjecture_4_share_and_depth : `language_depth.language_depth`; `language_depth.worlds`; `figures`
prediction_4_problem_depth : `problem_depth.problem_depth`; `problem_depth.worlds`; `figures`
conjecture_5_pace : `activity.pace_evidence`; none, it is proved; `figures`
conjecture_5_in_models : `activity.activity_by_difficulty`; `activity.worlds`; `figures`
"""
