"""Are two languages' positions through depth cointegrated? Conjecture 7: what a rank counts (`rank_meaning`),
whether layers can be taken as time (`layer_time`), and speeds of adjustment beside kappa (`thickness`).
"""
