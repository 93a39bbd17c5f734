"""Figures of the mathematical claims show their tables, and each title is the finding of its table."""

import numpy as np
import pandas as pd
import pytest
from builders import title
from zspace import theory
from zspace.evidence.agreement_spectrum import figures
from zspace.evidence.double_suppression import figures as suppression_figures
from zspace.evidence.language_pairs import TRAINED
from zspace.evidence.rules import REFUTED, SUPPORTED


def test_explorer_shows_ratio_and_coefficient_at_every_share():
    figure = figures.agreement_explorer(n=4, shares=(0.2, 0.5, 0.9))
    ratio, weight = (np.array(trace.z) for trace in figure.data)
    axis = np.array(figure.data[0].x)
    z = [[axis[3]], [axis[1]]]  # column is language 1, row language 2
    assert ratio[1, 3] == pytest.approx(theory.agreement_ratio(z, [0.5, 0.5])[0], abs=1e-3)
    assert weight[1, 3] == pytest.approx(abs(theory.optimal_coefficients(z, [0.5, 0.5])[0]), abs=1e-3)
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == ["0.2", "0.5", "0.9"]
    last = np.array(steps[2].args[0]["z"][0])
    assert last[1, 3] == pytest.approx(theory.agreement_ratio(z, [0.9, 0.1])[0], abs=1e-3)
    assert np.abs(last - ratio).max() > 0.1


def test_sampled_errors_states_the_slope_it_draws():
    n = np.tile([1_000, 10_000, 100_000], 2)
    table = pd.DataFrame({"n": n, "seed": np.repeat([0, 1], 3), "error": 3 / np.sqrt(n)})
    assert "power -0.50" in title(figures.sampled_errors(table))
    assert "power -1.00" in title(figures.sampled_errors(table.assign(error=1 / table["n"])))


def test_turning_curves_names_the_largest_angle_of_general_transforms():
    share = [0.1, 0.5, 0.9]
    rows = [("diagonal", s, 60.0) for s in share]
    rows += [("general", s, a) for s, a in zip(share, (12.2, 0, 31.4), strict=True)]
    figure = figures.turning_curves(pd.DataFrame(rows, columns=["kind", "share", "angle"]))
    assert "31 degrees at a share of 0.90" in title(figure)
    assert [trace.name for trace in figure.data] == ["diagonal transforms", "general transforms"]


def test_orbit_and_overlap_colours_by_whether_seeds_agree():
    names = ["one language, isotropic", "two languages"]
    orbit = pd.DataFrame({"problem": np.repeat(names, 3), "excess": [0, 0, 0, 0.1, 0.5, 0.9]})
    overlaps = pd.DataFrame({"problem": np.repeat(names, 2), "overlap": [0.2, 0.4, 1.0, 1.0]})
    figure = figures.orbit_and_overlap(orbit, overlaps)
    assert "(overlap 1.000), not with one (0.30)" in title(figure)
    colours = {trace.name: trace.line.color for trace in figure.data}
    assert colours == {names[0]: figures.SECOND, names[1]: figures.FIRST}


def test_layer_spectra_draws_trained_sizes_on_the_closed_form():
    rho = [1.0, 0.25]
    rows = [
        {"net": net, "layers": depth, "layer": 0, "direction": i, "rho": r, "size": size}
        for net, sign in (("plain, balanced", 0), ("residual", 1))
        for depth in (2, 4)
        for i, r in enumerate(rho)
        for size in [abs(sign - r ** (1 / (2 * depth)))]
    ]
    figure = suppression_figures.layer_spectra(pd.DataFrame(rows))
    trained = [t for t in figure.data if t.mode == "markers"]
    curves = [t for t in figure.data if t.name.startswith("closed form")]
    for points, curve in zip(trained, curves, strict=True):
        expected = np.interp(points.x, curve.x, curve.y)
        np.testing.assert_allclose(points.y, expected, atol=2e-3)


def test_rotation_curve_states_both_ends():
    table = pd.DataFrame({"angle": [90, 0, 45], "spearman": [0.8, -1.0, 0.1]})
    assert "from -1.00 to +0.80" in title(suppression_figures.rotation_curve(table))


@pytest.fixture
def curves():
    """Two languages, three subjects, four layers; the gaps of zh are those of sw turned round."""
    layer, tables = np.arange(4), []
    for language, sign in (("zh", 1), ("sw", -1)):
        gaps = {"gain_gap": sign * 0.2, "low": sign * 0.2 - 0.1, "high": sign * 0.2 + 0.1}
        gaps["agreement_gap"] = 0.1
        qualities = {"q~ Z": 0.5, "q~ perp": 0.5 + sign * 0.1 * (layer > 0)}
        for subject in (TRAINED, "random-0", "random-1"):
            columns = {"language": language, "subject": subject, "layer": layer, **gaps, **qualities}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def test_split_curves_names_the_supported_languages(curves):
    figure = suppression_figures.split_curves(curves, {"zh": SUPPORTED, "sw": REFUTED})
    assert title(figure).endswith("beyond every control: zh")
    none = suppression_figures.split_curves(curves, {"zh": REFUTED, "sw": REFUTED})
    assert title(none).endswith("no language")


def test_quality_curves_counts_the_layers(curves):
    figure = suppression_figures.quality_curves(curves)
    assert title(figure) == "Layers whose q̃ is lower in Z: zh 75%, sw 0%"
