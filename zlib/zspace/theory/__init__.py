# ruff: noqa: F401 (names to be imported from here)
"""Closed forms of the claims, their machine-checked proofs, and the smallest models that break them.

`agreement`: theorem 1, what one linear map learns from several languages. `gauge`: corollary 1, what a
bottleneck leaves free. `layers`: conjecture 3, how the layers of a deep linear net divide the work.
`descent`: theorem 2, when one layer improves the snr. `pace`: conjecture 5, how fast it falls. `mem`:
conjecture 6, the likelihood of its model. `trends`: conjecture 7, what a cointegration rank counts. NumPy
only; SymPy is imported by the proofs.
"""

from .agreement import (
    LinearOptimum,
    Moments,
    agreement_ratio,
    map_loss,
    moments,
    optimal_coefficients,
    optimal_map,
    optimum_of,
    prove_agreement_spectrum,
    whitened_pair,
)
from .descent import (
    accumulation_null,
    orthogonal_layers,
    prove_snr_criterion,
    random_layer_ensemble,
    snr_floor,
    swap_counterexample,
    swap_counterexample_snr,
)
from .gauge import (
    bottleneck_hessian,
    bottleneck_loss,
    bottleneck_optimum,
    nullity,
    orbit_losses,
    prove_gauge_breaking,
    subspace_overlap,
)
from .layers import contribution_energy, layer_spectrum, prove_layer_spectrum, suppression_stack
from .mem import prove_mem
from .pace import first_below, pace_snr, pace_stack, prove_pace
from .trends import n_relations, prove_trends, trend_loadings
