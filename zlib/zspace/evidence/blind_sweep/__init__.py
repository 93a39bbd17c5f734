"""Do networks that are not told the language converge? The note's synthetic experiments.

claim : evidence; simulated worlds; figures
sweep_one_hot : `convergence.blind_sweep`; `convergence.worlds`; `figures`
sweep_blind_orthogonal : `convergence.blind_sweep`; `convergence.worlds`; `figures`
sweep_blind_invertible : `convergence.blind_sweep`; `convergence.worlds`; `figures`
sweep_centroids_plain : `convergence.blind_sweep`; `convergence.worlds`; `figures`
sweep_centroids_residual : `convergence.blind_sweep`; `convergence.worlds`; `figures`
experiment_orthogonality : `orthogonality.orthogonality`; `convergence.worlds`; `figures`

`sweep` trains and measures one configuration, `grid` keeps all of them, `views` makes tables.
"""
