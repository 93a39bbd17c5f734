"""The blind sweep: measures on planted states, what is kept, and the numbers that the section must give."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import ortho_group
from zspace.errors import ClaimError
from zspace.evidence import claims
from zspace.evidence.blind_sweep import convergence, figures, grid, orthogonality, sweep, views
from zspace.sources.worlds import World
from zspace.states import networks

TINY = sweep.Size(4, 3.0, networks.Recipe(depth=2, width=16, steps=50))
N = sweep.N_FIT + sweep.N_SCORED


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("ZSPACE_RUNS", str(tmp_path))


@pytest.fixture(scope="module", autouse=True)
def made_once():
    """Classifiers of the language and planted stacks are the same for all tables that are judged."""
    identified = views.identification_table(rng=np.random.default_rng(0))
    exact, stacks = convergence._planted, []

    def planted(layers, rng):
        if not stacks:
            stacks.append(exact(layers, rng))
        return stacks[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convergence, "identification_table", lambda rng: identified)
        patch.setattr(convergence, "_planted", planted)
        yield


@pytest.fixture(scope="module")
def factorial():
    return grid.read("factorial")


@pytest.mark.parametrize("turned", [False, True], ids=["coincide", "turned copies"])
def test_layer_table_of_turned_copies_needs_procrustes(rng, turned):
    state = rng.standard_normal((1, N, 8))
    turns = np.stack([ortho_group.rvs(8, random_state=rng) if turned else np.eye(8) for _ in range(7)])
    table = sweep.layer_table(state @ turns, 0, World(8, sweep.SHARE))
    for measure in ("procrustes_nn", "procrustes_r2", "rigid_r2", "kappa"):
        np.testing.assert_allclose(table[measure], 1, atol=1e-6)
    if turned:
        assert (table["raw_nn"] < 0.2).all()
        assert (table["snr"] > 0.5).all()
    else:
        np.testing.assert_allclose(table[["raw_nn", "snr"]], [[1, 0]] * 6, atol=1e-6)


@pytest.mark.parametrize("row", sweep.FACTORIAL)
def test_world_of_a_configuration_has_its_flag_centroids_and_transforms(row):
    identification, transform, _ = row
    world = sweep.world_of(row, TINY, noise=0.3)
    assert (world.flag > 0) == (identification == "one-hot")
    assert (world.centroid > 0) == (identification == "centroids")
    assert (world.transform, world.dim, world.noise) == (transform, TINY.dim, 0.3)
    singular = np.linalg.svd(world.parts.transforms, compute_uv=False)
    expected = TINY.condition_number if transform == "invertible" else 1
    np.testing.assert_allclose(singular.max(-1) / singular.min(-1), expected, rtol=1e-6)


def test_evaluate_reads_the_same_items_for_all_subjects_and_untrained_weights(rng, runs):
    rows = sweep.NOTE_ROWS[:2]
    found = grid.evaluate(rows, TINY, [0, 1], rng=rng)
    again = grid.evaluate(rows, TINY, [0, 1], rng=rng, keep=False, subjects=(sweep.TRAINED,))
    trained = found.layers[found.layers["subject"] == sweep.TRAINED].reset_index(drop=True)
    np.testing.assert_allclose(trained["snr"], again.layers["snr"], rtol=1e-5)
    by = found.tasks.groupby("subject")["bound"].mean()
    assert by[sweep.TRAINED] == pytest.approx(by[sweep.UNTRAINED], abs=1e-12)
    r2 = found.tasks.groupby("subject")["r2"].mean()
    assert r2[sweep.TRAINED] > r2[sweep.UNTRAINED]


def test_untrained_subject_is_the_initial_network(rng, runs):
    row = sweep.NOTE_ROWS[4]
    batch = sweep.train([row], TINY, [0], keep=False)
    as_trained = replace(batch, weights=batch.initial)
    streams = [np.random.default_rng(5) for _ in range(3)]
    untrained = sweep.measure(batch, [row], rng=streams[0], subject=sweep.UNTRAINED)
    same = sweep.measure(as_trained, [row], rng=streams[1])
    trained = sweep.measure(batch, [row], rng=streams[2])
    for measure in sweep.MEASURES:
        np.testing.assert_array_equal(untrained.layers[measure], same.layers[measure])
    assert np.abs(untrained.layers["snr"] - trained.layers["snr"]).max() > 1e-3


def test_run_keeps_every_setting_of_a_part(runs, tmp_path, monkeypatch):
    part = grid.Part(sweep.NOTE_ROWS[:1], "tiny", range(2), {"25": {"steps": 25}, "8": {"dim": 8}})
    monkeypatch.setitem(sweep.SIZES, "tiny", TINY)
    monkeypatch.setitem(grid.PARTS, "small", part)
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        grid.run("small", folder=folder, keep=False)
    one, other = (grid.read("small", folder) for folder in folders)
    assert one.tasks.groupby("setting").size().to_dict() == {"25": 2, "8": 2}
    assert one.layers.groupby("setting").size().to_dict() == {"25": 48, "8": 48}  # 2 x 6 x 4 layers
    for measure in sweep.MEASURES:
        np.testing.assert_allclose(one.layers[measure], other.layers[measure], rtol=1e-3, atol=2e-4)
    changed = tmp_path / "changed"
    grid.run("small", folder=changed, keep=False, seed=1)
    assert not one.layers["snr"].equals(grid.read("small", changed).layers["snr"])


def test_results_survive_writing_and_reading(rng, runs, tmp_path):
    found = grid.evaluate(sweep.NOTE_ROWS[:1], TINY, [0], rng=rng, subjects=(sweep.TRAINED,))
    labelled = sweep.Measured(found.layers.assign(setting="0.1"), found.tasks.assign(setting="0.1"))
    grid.write("some part", labelled, tmp_path / "kept")
    read = grid.read("some part", tmp_path / "kept")
    np.testing.assert_allclose(read.layers["raw_nn"], found.layers["raw_nn"], atol=1e-4)
    assert set(read.layers["setting"]) == {"0.1"}
    with pytest.raises(ClaimError, match="no results of part 'other'"):
        grid.read("other", tmp_path / "kept")


@pytest.mark.parametrize("part", grid.PARTS)
def test_no_kept_network_beats_its_bayes_bound(part):
    assert len(sweep.bound_violations(grid.read(part).tasks)) == 0


def test_bound_violations_are_the_rows_more_than_three_standard_errors_above(factorial):
    tasks = factorial.tasks.copy()
    tasks.loc[[3, 5], "excess"] = tasks.loc[[3, 5], "excess_se"] * [3.1, 2.9]
    tasks.loc[7, "excess"] = np.nan  # what cannot be compared has not passed
    assert sweep.bound_violations(tasks).index.tolist() == [3, 7]


def test_a_network_above_its_bound_fails_the_run(factorial, rng):
    tasks = factorial.tasks.copy()
    tasks.loc[3, "excess"] = 4 * tasks.loc[3, "excess_se"]
    with pytest.raises(ClaimError, match="above its Bayes bound"):
        convergence.blind_sweep(sweep.Measured(factorial.layers, tasks), rng=rng)


def test_a_run_whose_networks_were_told_more_than_their_bound_knows_fails(rng, tmp_path, monkeypatch):
    """Networks with a flag, held against the bound of the blind world, are beyond what is possible."""
    row = (sweep.ONE_HOT, sweep.ORTHOGONAL, sweep.RESIDUAL)
    size = replace(TINY, recipe=replace(TINY.recipe, width=48, steps=500))
    options = {"keep": False, "subjects": (sweep.TRAINED,)}
    fair = grid.evaluate([row], size, [0, 1], rng=rng, **options)
    exact = sweep.synthetic.bayes_predictions

    def blindly(world, inputs, **more):
        return exact(replace(world, flag=0.0), inputs[:, : world.dim], **more)

    monkeypatch.setattr(sweep.synthetic, "bayes_predictions", blindly)
    part = grid.Part((row,), "told", range(2))
    monkeypatch.setitem(sweep.SIZES, "told", size)
    monkeypatch.setitem(grid.PARTS, "told", part)
    with pytest.raises(ClaimError, match="above its Bayes bound"):
        grid.run("told", folder=tmp_path, keep=False)
    assert list(tmp_path.iterdir()) == []  # nothing is written
    assert len(sweep.bound_violations(fair.tasks)) == 0


@pytest.fixture(scope="module")
def read_by_claims(factorial):
    """The rows of the factorial that the statements of the claims are about."""
    tables = [[sweep.rows_of(table, row) for row in sweep.JUDGED] for table in vars(factorial).values()]
    return sweep.joined(sweep.Measured(*pair) for pair in zip(*tables, strict=True))


@pytest.fixture(scope="module")
def confirmed():
    return convergence.blind_sweep(grid.read("confirmation"), rng=np.random.default_rng(0))


def test_one_hot_flags_converge_in_all_seeds_old_and_fresh(read_by_claims, confirmed):
    judged = convergence.blind_sweep(read_by_claims, rng=np.random.default_rng(0))
    for found in (judged, confirmed):
        row = found.comparison.loc["one-hot: all languages converge"]
        assert (row["trained"], row["private targets"], row["untrained"]) == ("10/10", "0/10", "0/10")
        outputs = found.convergence.xs((*sweep.NOTE_ROWS[0][:2], sweep.RESIDUAL, sweep.OUTPUT))
        assert (outputs["converge"] == 10).all()
    verdict = claims.evaluate(convergence.ONE_HOT, confirmed.evidence[convergence.ONE_HOT])
    assert verdict.as_corrected == "supported"


def test_private_targets_separate_raw_accuracy_but_not_procrustes(factorial):
    layers = factorial.layers[factorial.layers["language"] == "zh"]
    outputs = sweep.rows_of(layers, sweep.NOTE_ROWS[3], 5).groupby("subject")[["raw_nn", "snr"]].mean()
    trained, private = outputs.loc[sweep.TRAINED], outputs.loc[sweep.PRIVATE]
    assert trained["raw_nn"] == pytest.approx(0.983, abs=0.02)
    assert trained["snr"] == pytest.approx(0.11, abs=0.03)
    assert private["raw_nn"] < 0.02
    assert private["snr"] == pytest.approx(1.05, abs=0.06)
    turned = sweep.rows_of(layers, sweep.NOTE_ROWS[4], 4).query("subject == 'private targets'")
    assert turned["procrustes_nn"].mean() > 0.95
    told = factorial.layers.query("identification == 'one-hot' and transform == 'orthogonal' and layer == 5")
    nulls = told[told["subject"] != sweep.TRAINED]
    assert not ((nulls["raw_nn"] >= 0.9) & (nulls["snr"] < 1)).any()


@pytest.mark.parametrize("claim", convergence.CLAIMS)
def test_rules_tell_worlds_apart(claim, rng):
    simulate = convergence.worlds(claim, 10).make(rng)
    found = claims.operating_characteristic(claim, simulate, rng=rng, n_simulations=100)
    assert found.null_supported <= 0.05
    assert found.power >= 0.9
    assert found.false_refuted >= 0.9


def test_orthogonality_judges_networks_beside_their_untrained_selves(rng, runs):
    recipe = networks.Recipe(depth=3, width=16, steps=50)
    found = orthogonality.orthogonality(rng=rng, seeds=[0, 1], recipe=recipe)
    statistics = found.evidence.statistics
    assert {s.estimate for s in statistics.values()} <= {0.0, 0.5, 1.0}
    controls = {c.name: c for c in found.evidence.controls}
    assert controls[sweep.UNTRAINED].statistics[orthogonality.RETRACTS].estimate == 0
    assert controls[orthogonality.RETRACTED].statistics[orthogonality.RETRACTS].estimate == 1
    assert controls[orthogonality.FALLING].statistics[orthogonality.ORTHOGONAL].estimate == 1
    # every number of the note that a network this shallow has, with a count and a word
    named = [n for n in orthogonality.NOTE if n not in ("snr, layer 4", "snr, layer 5")]
    assert set(named) <= set(found.comparison.index)
    assert found.comparison.loc[named, "word"].isin(["reproduces", "does not", "not identifiable"]).all()
    near = (found.layers.query("layer == 2").groupby(["subject", "seed"])["snr"].mean() - 1.452).abs() <= 0.1
    for subject in (sweep.TRAINED, sweep.UNTRAINED):
        assert found.comparison.loc["snr, layer 2", f"near, {subject}"] == f"{near[subject].sum()}/2"


def test_blind_sweep_refuses_a_table_without_one_of_its_rows(factorial, rng):
    layers = factorial.layers
    residual = (layers["identification"] == "one-hot") & (layers["skip"] == "residual")
    with pytest.raises(ValueError, match="no trained networks of one-hot, orthogonal, residual"):
        convergence.blind_sweep(sweep.Measured(layers[~residual], factorial.tasks), rng=rng)


def test_confirmation_shares_no_seed_with_what_the_rules_were_written_after():
    seeds = {name: set(part.seeds) for name, part in grid.PARTS.items()}
    confirmation = seeds.pop("confirmation")
    assert confirmation.isdisjoint(set().union(*seeds.values()))
    assert set(grid.read("confirmation").layers["seed"]) == confirmation


@pytest.mark.parametrize("k", [0, 3, 10])
def test_share_interval_has_jeffreys_limits_and_replicates_of_its_posterior(k, rng):
    found = convergence.share_interval(k, 10, rng=rng)
    low, high = stats.beta(k + 0.5, 10 - k + 0.5).ppf([0.025, 0.975])
    assert found.low == (0 if k == 0 else pytest.approx(low))
    assert found.high == (1 if k == 10 else pytest.approx(high))
    assert np.mean(found.replicates) == pytest.approx((k + 0.5) / 11, abs=0.02)


def test_reproduced_is_zero_for_the_same_results_and_shows_a_shift(factorial):
    shifted = factorial.layers.assign(raw_nn=factorial.layers["raw_nn"] + 0.1)
    assert (views.reproduced(factorial, factorial) == 0).all(axis=None)
    moved = views.reproduced(sweep.Measured(shifted, factorial.tasks), factorial)
    np.testing.assert_allclose(moved["raw_nn"], 0.1)
    assert (moved["procrustes_nn"] == 0).all()


def test_profiles_and_maps_state_what_they_show(factorial):
    made = figures.configuration_map(factorial.layers).layout.title.text
    residual = factorial.layers.query("subject == 'trained' and skip == 'residual' and layer == 4")
    assert f"{residual['raw_nn'].max():.2f}" in made
    figure = figures.layer_profiles(factorial.layers, sweep.NOTE_ROWS)
    drawn = [t for t in figure.data if t.name == "raw, trained"]
    assert len(drawn) == len(sweep.NOTE_ROWS)
    outputs = sweep.rows_of(factorial.layers, sweep.NOTE_ROWS[0], 5)
    expected = outputs.query("subject == 'trained' and language == 'zh'")
    assert drawn[0].y[-1] == pytest.approx(expected["raw_nn"].mean(), abs=1e-3)


def test_clouds_tell_joined_translations_from_scattered_ones(rng):
    at = rng.standard_normal((20, 2))
    tables = []
    for panel, noise in (("joined", 0.0), ("scattered", 5.0)):
        for language in ("en", "zh", "es"):
            x, y = (at + noise * rng.standard_normal((20, 2))).T
            columns = {"panel": panel, "language": language, "item": range(20), "x": x, "y": y}
            tables.append(pd.DataFrame(columns))
    title = figures.clouds(pd.concat(tables)).layout.title.text.replace("<br>", " ")
    assert "joined 0%" in title
    assert int(title.split("scattered ")[1].rstrip("%")) > 50


def test_networks_with_private_targets_of_their_own_seeds_do_not_converge(read_by_claims, confirmed, rng):
    """Would it say "supported" if nothing were there? Their limits come from other seeds than their own."""
    layers = grid.read("confirmation").layers
    private = read_by_claims.layers[read_by_claims.layers["subject"] == sweep.PRIVATE]
    fake = pd.concat([layers[layers["subject"] != sweep.TRAINED], private.assign(subject=sweep.TRAINED)])
    found = convergence.blind_sweep(sweep.Measured(fake, read_by_claims.tasks.iloc[:0]), rng=rng)
    assert (found.convergence["converge"] == 0).all()
    for claim in (convergence.ONE_HOT, convergence.CENTROIDS, convergence.CENTROIDS_RESIDUAL):
        verdict = claims.evaluate(claim, found.evidence[claim])
        assert (verdict.as_stated, verdict.as_corrected) == ("refuted", "refuted")
        control = claims.evaluate(claim, confirmed.evidence[claim])
        assert control.as_corrected == "supported"


def planted_layers(depths: dict[str, list[int]], rng) -> pd.DataFrame:
    """A configuration whose languages converge from a layer on, one for each seed; 6 is never."""
    rows = [
        dict(zip(sweep.KEY, sweep.NOTE_ROWS[0], strict=True))
        | {"language": language, "seed": seed, "layer": layer, "subject": subject, "share": share}
        | {"raw_nn": 0.95 if good else 0.02 + 0.01 * rng.random(), "snr": 0.2 if good else 1.1}
        for share, (language, found) in zip((0.1, 0.5), depths.items(), strict=True)
        for seed, depth in enumerate(found)
        for layer in range(6)
        for subject in (sweep.TRAINED, sweep.PRIVATE)
        for good in [subject == sweep.TRAINED and layer >= depth]
    ]
    return pd.DataFrame(rows)


def test_depth_table_has_the_planted_depths_and_none_for_what_never_converges(rng):
    layers = planted_layers({"zh": [3, 5, 4], "sw": [6, 6, 2]}, rng)
    table = views.depth_table(layers)
    assert table.loc[sweep.NOTE_ROWS[0]].to_dict() == {"zh": "3/3 from 4", "sw": "1/3 from 2"}
    # a layer that converges before one that does not is no beginning
    early = (layers["layer"] == 0) & (layers["subject"] == sweep.TRAINED)
    layers.loc[early, ["raw_nn", "snr"]] = [0.95, 0.2]
    assert views.depth_table(layers).equals(table)
    layers.loc[layers["layer"] == 5, "snr"] = 1.1
    assert set(views.depth_table(layers).to_numpy().ravel()) == {"0/3"}


def test_task_table_shows_every_language_beside_the_bound_that_is_of_their_mean():
    tasks = grid.read("confirmation").tasks
    table = views.task_table(tasks)
    own = table[[f"r2 {name}" for name in sweep.LANGUAGES]]
    assert len(table) == len(sweep.JUDGED)
    assert (table["excess_in_se"] < 3).all()
    # one language above the bound is no violation
    assert table.loc[sweep.NOTE_ROWS[1], "r2 en"] > table.loc[sweep.NOTE_ROWS[1], "bound"]
    np.testing.assert_allclose(own @ np.array(sweep.SHARE), table["r2"], atol=0.03)


@pytest.fixture(scope="module")
def varied():
    return views.sensitivity_table()


@pytest.mark.parametrize("place", range(1, 6))
@pytest.mark.parametrize("row", sweep.NOTE_ROWS[3:])
def test_language_of_the_largest_share_converges_whatever_its_transform(varied, place, row):
    found = varied.loc[("rotated shares", str(place), *row)]
    name = sweep.LANGUAGES[1 + place]
    assert found["converge"] == f"{name} 5/5"
    assert found["raw nn frequent"] >= 0.9
    assert found["raw nn zh"] < 0.9


def test_a_longer_budget_lets_a_blind_language_converge_and_others_with_centroids(varied):
    long, short = (varied.xs(part).droplevel(0)["converge"] for part in ("four times the steps", "factorial"))
    blind_residual = (sweep.BLIND, sweep.INVERTIBLE, sweep.RESIDUAL)
    assert (short[blind_residual], long[blind_residual]) == ("none of 10", "zh 5/5")
    assert short[sweep.NOTE_ROWS[3]] == "zh 10/10"
    assert long[sweep.NOTE_ROWS[3]].startswith("zh 5/5, es 5/5")
    # what no one can know stays unlearned
    assert long[sweep.NOTE_ROWS[1]] == "none of 5"
    assert (varied.xs("noise")["converge"] == "no private targets").all()


def test_measure_profiles_draw_every_measure_of_every_row(factorial):
    measures = tuple(figures.PROFILED)
    figure = figures.measure_profiles(factorial.layers, sweep.NOTE_ROWS, measures)
    lines = [t for t in figure.data if t.name == sweep.TRAINED]
    assert len(lines) == 4 * len(sweep.NOTE_ROWS)
    rows = sweep.rows_of(factorial.layers, sweep.NOTE_ROWS[0], 4)
    rows = rows.query("subject == 'trained' and language == 'zh'")
    last = sweep.rows_of(factorial.layers, sweep.NOTE_ROWS[-1], 4).query("language == 'zh'")
    for value in last.groupby("subject")["affine_r2"].mean():
        assert f"{value:.2f}" in figure.layout.title.text
    for line, measure in zip(lines[::5], measures, strict=True):
        assert line.y[4] == pytest.approx(rows[measure].mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("k", "said"), [(5, "reproduces"), (0, "does not"), (3, "not identifiable"), (2, "not identifiable")]
)
def test_word_of_five_seeds_needs_an_interval_clear_of_one_half(k, said):
    assert convergence.word(k, 5) == said
