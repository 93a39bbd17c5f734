"""Is what a layer adds suppressed twice, by agreement and by size?

claim : evidence; simulated worlds; figures
conjecture_3_double_suppression : `linear_nets.layer_suppression`; none, it is proved; `figures`
conjecture_3_in_networks : `networks.network_suppression`; those of the next row, by the same rule; `figures`
conjecture_3_in_models : `models.double_suppression`; `models.worlds`; `figures`
"""
