"""Are two languages' positions through depth cointegrated, and what do speeds of adjustment measure?

claim : evidence; simulated worlds; figures
conjecture_7_rank : `rank_meaning.rank_meaning`; none, it is proved; `figures`
conjecture_7_layers_as_time : `layer_time.layers_as_time`; `layer_time.time_worlds`; `figures`
conjecture_7_rank_in_models : `layer_time.layers_as_time`; `layer_time.rank_worlds`; `figures`
conjecture_7_thickness : `thickness.adjustment_speeds`; `thickness.worlds`; `figures`
"""
