"""What a cointegration rank counts: symbolic proof against simulated series and random mixing."""

import numpy as np
import pytest
from zspace import theory


def test_statements_are_proved():
    assert {name: residue == 0 for name, residue in theory.prove_trends().items()} == dict.fromkeys(
        ["walking_remainder", "stationary_remainder", "trends", "mechanical_adjustment"], True
    )


@pytest.mark.parametrize(("wanders", "expected"), [(True, 2), (False, 6)])
def test_relations_do_not_depend_on_how_a_language_mixes_its_coordinates(wanders, expected, rng):
    loadings = theory.trend_loadings(4, 2, specific_wanders=wanders)
    mixed = np.zeros((8, loadings.cols))
    for k in range(2):
        mixed[4 * k : 4 * k + 4] = rng.standard_normal((4, 4)) @ np.array(loadings, float)[4 * k : 4 * k + 4]
    assert theory.n_relations(loadings) == expected == 8 - np.linalg.matrix_rank(mixed)


def test_relations_are_what_does_not_wander(rng):
    """Long simulated series: as many combinations keep a bounded variance as there are relations."""
    loadings = np.array(theory.trend_loadings(3, 1, specific_wanders=True), float)
    walks = np.cumsum(rng.standard_normal((20_000, loadings.shape[1])), 0)
    series = walks @ loadings.T + 0.1 * rng.standard_normal((20_000, 6))
    sizes = np.linalg.svd(series - series.mean(0), compute_uv=False) / np.sqrt(20_000)
    assert (sizes < 1).sum() == 1
    assert (sizes > 5).sum() == 5


def test_speed_without_contact_is_a_property_of_one_language(rng):
    n = 200_000
    h, other = rng.standard_normal(n), 2 * rng.standard_normal(n)
    f = -0.3 * h + 0.5 * rng.standard_normal(n)
    after = h + f
    growth = (after.var() - h.var() - f.var()) / 2
    assert np.mean(f * (h - other)) == pytest.approx(growth, abs=0.02)
    tied = h + rng.standard_normal(n)  # negative control: what is pulled to the other is no such property
    pulled = -0.3 * (h - tied)
    assert np.mean(pulled * (h - tied)) == pytest.approx(-0.3, abs=0.02)
    assert np.mean(pulled * h) == pytest.approx(0, abs=0.02)
