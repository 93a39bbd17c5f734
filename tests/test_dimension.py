"""Shared dimensions: SAS, statsmodels and scipy as oracles, planted worlds, size by scenario, wrong ways."""

import itertools
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import compatible, three_seeds
from scipy import linalg
from scipy.stats import chi2
from statsmodels.multivariate.cancorr import CanCorr
from zspace.measures import canonical, dimension
from zspace.measures.dimension import equal_groups
from zspace.measures.resampling import whole_group_permutations
from zspace.sources.worlds import World, replicate

ORACLE = yaml.safe_load((Path(__file__).parent / "oracles" / "dimension.yaml").read_text())["fitness"]
FITNESS = np.array(ORACLE["items"], float)
SCENARIOS = np.repeat(np.arange(20), 8)
pytestmark = pytest.mark.filterwarnings("ignore:\\d+ groups for:UserWarning")


def linked(rng, n=120, p=5, q=5, shared=2, strength=0.9, leading=()):
    """States that share some dimensions, each correlated as given, mixed by maps of their own."""
    x, y = (rng.standard_normal((*leading, n, width)) for width in (p, q))
    common = rng.standard_normal((*leading, n, shared))
    for side in (x, y):
        side[..., :shared] = strength * common + np.sqrt(1 - strength**2) * side[..., :shared]
    return x @ rng.standard_normal((p, p)) + 3, y @ rng.standard_normal((q, q)) - 1


def scenarios(rng, n_groups=20, size=8, p=10, icc=0.5, shared=0, strength=0.9):
    """Two languages whose items resemble the others of their scenario, with intraclass correlation `icc`."""

    def draw(width):
        group = np.repeat(rng.standard_normal((n_groups, width)), size, axis=0)
        return np.sqrt(icc) * group + np.sqrt(1 - icc) * rng.standard_normal((n_groups * size, width))

    x, y, common = draw(p), draw(p), draw(shared)
    for side in (x, y):
        side[:, :shared] = np.sqrt(strength) * common + np.sqrt(1 - strength) * side[:, :shared]
    return x, y


def by_eigenvalues(x, y):
    """Canonical correlations from the generalised eigenproblem of the covariance matrices."""
    p, joint = x.shape[1], np.cov(x.T, y.T)
    apart = linalg.block_diag(joint[:p, :p], joint[p:, p:])
    return linalg.eigh(joint - apart, apart, eigvals_only=True)[::-1][: min(p, y.shape[1])]


def by_hand(x, y, permutations):
    """Sequential p-values, with a canonical correlation analysis for every test and permutation."""
    qx, qy = (np.linalg.qr(s - s.mean(0))[0] for s in (x, y))
    u, r, vt = np.linalg.svd(qx.T @ qy)
    of_x, of_y = qx @ u, qy @ vt.T
    found = []
    for k in range(len(r)):
        observed = -np.log(1 - r[k:] ** 2).sum()
        more = 0
        for order in permutations:
            moved, removed = of_x[order][:, k:], of_y[:, :k]
            left = moved - removed @ np.linalg.lstsq(removed, moved)[0]
            more += -np.log(1 - by_eigenvalues(left, of_y[:, k:]) ** 2).sum() >= observed - 1e-9
        found.append((1 + more) / (1 + len(permutations)))
    return np.maximum.accumulate(found)


def test_correlations_equal_those_of_sas():
    x, y = FITNESS[:, :3], FITNESS[:, 3:]
    r = canonical.canonical_correlations(x, y)
    wilks = np.cumprod((1 - r**2)[::-1])[::-1]
    np.testing.assert_allclose(wilks, ORACLE["wilks"], atol=5e-9)
    assert r[0] ** 2 / (1 - r[0] ** 2) == pytest.approx(ORACLE["roy"], abs=5e-9)
    np.testing.assert_allclose(canonical.remaining_of(r), -np.log(ORACLE["wilks"]), atol=2e-8)


@pytest.mark.parametrize(("p", "q"), [(4, 4), (3, 6), (6, 3)])
def test_correlations_equal_statsmodels_and_the_eigenproblem(rng, p, q):
    x, y = linked(rng, p=p, q=q)
    found = canonical.canonical_correlations(x, y)
    np.testing.assert_allclose(found, by_eigenvalues(x, y), atol=1e-8)
    np.testing.assert_allclose(found, CanCorr(x, y).cancorr, atol=1e-8)
    result = dimension.shared_dimension(x, y, rng=rng, n_permutations=19)
    np.testing.assert_allclose(result.canonical_correlations, found, atol=1e-8)


def test_correlations_are_those_of_the_principal_components_asked_for(rng):
    x, y = linked(rng, p=12, q=12, shared=3)
    scores = [u[:, :4] for u in (np.linalg.svd(s - s.mean(0), full_matrices=False)[0] for s in (x, y))]
    found = dimension.shared_dimension(x, y, rng=rng, n_components=4, n_permutations=19)
    np.testing.assert_allclose(found.canonical_correlations, by_eigenvalues(*scores), atol=1e-8)


def test_bartlett_lawley_follows_its_formula(rng):
    r, n, p, q = np.array([0.9, 0.5, 0.2]), 40, 3, 5
    found = canonical.bartlett_lawley(r, n - 1, q)
    for k in range(p):
        factor = n - 1 - k - (p + q + 1) / 2 + sum(1 / r[i] ** 2 for i in range(k))
        statistic = -factor * sum(np.log(1 - s**2) for s in r[k:])
        assert found[k] == pytest.approx(chi2.sf(statistic, (p - k) * (q - k)), rel=1e-8)


@pytest.mark.parametrize(("p", "q"), [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("grouped", [True, False])
def test_permutation_pvalues_equal_a_loop_over_permutations_and_blocks(rng, p, q, grouped):
    """Canonical variates left over, permuted and analysed anew, one at a time."""
    x, y = linked(rng, n=60, p=p, q=q, shared=1, strength=0.7)
    groups = np.repeat(np.arange(12), 5) if grouped else None
    options = {"groups": groups, "n_permutations": 39}
    design = dimension._design_of(60, **options, rng=np.random.default_rng(5))
    found = dimension.shared_dimension(x, y, **options, rng=np.random.default_rng(5))
    narrow, wide = sorted([x, y], key=lambda s: s.shape[1])
    expected = by_hand(narrow, wide, design.permutations)
    assert found.permutation == np.cumprod(expected <= 0.05).sum()
    if grouped:
        np.testing.assert_allclose(found.pvalues, expected, atol=1e-12)
        null = np.sort([by_eigenvalues(narrow[order], wide) for order in design.permutations], axis=0)
        # 38th of 39: with the observed one, two in forty are as large
        np.testing.assert_allclose(found.null_band, null[37], atol=1e-8)


def test_held_out_correlations_are_of_directions_fitted_to_the_other_half(rng):
    x, y = linked(rng, n=80, p=3, q=4)
    design = dimension._design_of(80, n_permutations=19, rng=np.random.default_rng(5))
    expected = 0
    for train, test in (design.halves, design.halves[::-1]):
        a, b = (np.linalg.inv(np.linalg.cholesky(np.cov(s[train].T))).T for s in (x, y))
        u, _, vt = np.linalg.svd(a.T @ np.cov(x[train].T, y[train].T)[:3, 3:] @ b)
        of_x, of_y = x[test] @ a @ u, y[test] @ b @ vt.T
        expected += np.array([np.corrcoef(of_x[:, k], of_y[:, k])[0, 1] for k in range(3)]) / 2
    found = dimension.shared_dimension(x, y, rng=np.random.default_rng(5), n_permutations=19)
    np.testing.assert_allclose(found.held_out, expected, atol=1e-8)
    assert sorted(np.concatenate(design.halves)) == list(range(80))


@three_seeds
def test_result_is_invariant_to_linear_maps_and_shifts_of_either_side(rng):
    x, y = linked(rng, n=160, p=6, q=6)

    def results(x, y):
        options = {"rng": np.random.default_rng(0), "groups": SCENARIOS, "n_permutations": 39}
        found = dimension.shared_dimension(x, y, **options)
        return np.hstack([np.ravel(getattr(found, f.name)) for f in fields(found) if f.name != "bartlett"])

    plain = results(x, y)
    units = np.geomspace(1e-3, 1e3, 6)
    np.testing.assert_allclose(results(x @ rng.standard_normal((6, 6)) * units - 7, y), plain, atol=1e-8)
    np.testing.assert_allclose(results(x, y @ rng.standard_normal((6, 6)) * units + 7), plain, atol=1e-8)
    # controls: neither noise nor a map that is not linear leaves the correlations alone
    for changed in (x + rng.standard_normal(x.shape) * x.std(0), np.abs(x - x.mean(0))):
        assert results(changed, y)[1:7].max() < plain[1:7].max() - 0.05


@pytest.mark.parametrize("within", [False, True])
def test_layers_and_pairs_equal_the_single_form(rng, within):
    states = rng.standard_normal((3, 2, 160, 4))
    states[..., :2] += rng.standard_normal((160, 2))

    def options():
        return {"groups": SCENARIOS, "within": within, "n_permutations": 39, "rng": np.random.default_rng(3)}

    together = dimension.pairwise_dimensions(states, **options())
    assert together.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert together.bartlett is None
    for row, (i, j) in enumerate(together.pairs):
        profile = dimension.dimension_profile(states[i], states[j], **options())
        for layer in range(2):
            single = dimension.shared_dimension(states[i, layer], states[j, layer], **options())
            for field in fields(single):
                value = getattr(single, field.name)
                if field.name in ("bartlett", "n_items", "n_groups"):
                    assert value == getattr(together, field.name) == getattr(profile, field.name)
                    continue
                for other in (getattr(profile, field.name)[layer], getattr(together, field.name)[row, layer]):
                    np.testing.assert_allclose(other, value, atol=1e-8)


def recovered(transform, shared, n_worlds, **options):
    """Share of worlds, drawn anew each, whose estimate is the number of shared coordinates: (two tests,)."""
    base = World(16, (0.5, 0.5), shared_dim=shared, transform=transform, **options)
    hits = np.zeros(2)
    for seed in range(n_worlds):
        rng = np.random.default_rng([seed, shared])
        states = replicate(base, seed).sample(250, rng=rng).inputs
        found = dimension.shared_dimension(*states, rng=rng, n_permutations=99)
        assert found.dimension == found.bartlett
        hits += [found.dimension == shared, found.permutation == shared]
    return hits / n_worlds


KINDS = [{"transform": "orthogonal"}, *({"transform": "invertible", "condition_number": k} for k in (6, 12))]


@pytest.mark.parametrize("shared", [0, 4, 8, 12, 16])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_shared_coordinates_of_a_world_are_counted(kind, shared):
    """By either test, on 10 worlds."""
    assert compatible(10 * recovered(**kind, shared=shared, n_worlds=10).min(), 10, 0.9, "less")


@pytest.mark.full
@pytest.mark.parametrize("shared", [0, 4, 8, 12, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_shared_coordinates_of_a_world_are_counted_in_nine_of_ten(kind, shared):
    assert recovered(**kind, shared=shared, n_worlds=200)[0] >= 0.9


def test_dimensions_that_noise_hides_are_not_counted():
    """What a lower bound means: all 16 are shared, but a map of condition 100 hides some in noise."""
    found = recovered("invertible", 16, 10, condition_number=100, noise=0.5)
    assert found.max() == 0


def false_rates(rng, n_runs, *, shared=0, n_permutations=39, **options):
    """Rates of more dimensions than there are: Bartlett on items, permuted groups, held out."""
    false = np.zeros(3)
    for _ in range(n_runs):
        x, y = scenarios(rng, shared=shared, **options)
        groups = np.repeat(np.arange(len(x) // 8), 8)
        freedom = len(x) - 1
        r = canonical.canonical_correlations(x, y)
        bartlett = (canonical.bartlett_lawley(r, freedom, x.shape[1]) <= 0.05)[: shared + 1].all()
        found = dimension.shared_dimension(x, y, rng=rng, groups=groups, n_permutations=n_permutations)
        false += [bartlett, found.dimension > shared, found.held_out_dimension > shared]
    return false / n_runs


def test_unrelated_languages_share_nothing_where_items_are_independent(rng):
    false = np.zeros(2)
    for _ in range(200):
        x, y = rng.standard_normal((2, 120, 8))
        found = dimension.shared_dimension(x, y, rng=rng, n_permutations=39)
        false += [found.bartlett > 0, found.permutation > 0]
    assert all(compatible(count, 200, 0.05) for count in false)


def test_items_of_scenarios_mislead_bartlett_but_not_the_permutation_of_groups(rng):
    bartlett, permuted, held_out = 150 * false_rates(rng, 150)
    assert bartlett > 75
    assert compatible(permuted, 150, 0.05)
    assert compatible(held_out, 150, 0.05, "greater")


@pytest.mark.full
@pytest.mark.parametrize("icc", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("n_groups", [12, 20, 40])
@pytest.mark.parametrize("shared", [0, 1, 2])
def test_permuted_groups_keep_their_size_over_the_grid(rng, icc, n_groups, shared):
    """With as many groups as the warning asks for, a quarter of them columns on either side."""
    options = {"icc": icc, "n_groups": n_groups, "p": n_groups // 4, "shared": shared}
    false = false_rates(rng, 500, n_permutations=99, **options)[1]
    assert false <= 0.09
    assert shared or false >= 0.02


def test_shared_dimensions_of_scenarios_are_found(rng):
    """Power: three dimensions of canonical correlation .8 among five."""
    found = []
    for _ in range(40):
        x, y = scenarios(rng, p=5, shared=3, strength=0.8)
        found.append(dimension.shared_dimension(x, y, rng=rng, groups=SCENARIOS, n_permutations=99).dimension)
    assert np.mean(np.equal(found, 3)) >= 0.85


def test_within_scenarios_only_what_is_beyond_them_counts(rng):
    """Scenarios that are alike in both languages, items that are not: shared as wholes, nothing within."""
    options = {"rng": rng, "groups": SCENARIOS, "n_permutations": 39}
    whole, within, beyond = [], [], []
    for _ in range(40):
        x, y = rng.standard_normal((2, 160, 6))
        scenario = np.repeat(2 * rng.standard_normal((20, 2)), 8, axis=0)
        item = 2 * rng.standard_normal((160, 3))
        x[:, :2] += scenario
        y[:, :2] += scenario
        whole.append(dimension.shared_dimension(x, y, **options).dimension)
        within.append(dimension.shared_dimension(x, y, within=True, **options).dimension)
        x[:, 3:] += item
        y[:, 3:] += item
        beyond.append(dimension.shared_dimension(x, y, within=True, **options).dimension)
    assert np.mean(np.equal(whole, 2)) >= 0.85
    assert compatible(np.sum(np.greater(within, 0)), 40, 0.05, "greater")
    assert np.mean(np.equal(beyond, 3)) >= 0.85


def test_halves_of_the_groups_cover_the_dimension(rng):
    covered = []
    for _ in range(20):
        x, y = scenarios(rng, p=4, shared=2, strength=0.95)
        options = {"groups": SCENARIOS, "n_permutations": 39, "n_subsamples": 30}
        found = dimension.subsample_dimensions(x, y, rng=rng, **options)
        assert found.dimensions.shape == (30,)
        assert found.low == np.quantile(found.dimensions, 0.025, method="inverted_cdf")
        covered.append(found.low <= 2 <= found.high)
    assert np.mean(covered) >= 0.9


def test_a_bootstrap_finds_dimensions_in_unrelated_languages_where_halves_find_none(rng):
    """Why the interval does not resample with replacement: repeated items agree in both languages."""
    resampled, halved = [], []
    for _ in range(10):
        x, y = rng.standard_normal((2, 160, 8))
        again = rng.integers(160, size=(20, 160))
        r = canonical.canonical_correlations(x[again], y[again])
        resampled.extend(canonical.bartlett_lawley(r, 159, 8)[:, 0] <= 0.05)
        found = dimension.subsample_dimensions(x, y, rng=rng, n_permutations=19, n_subsamples=20)
        halved.extend(found.dimensions > 0)
    assert np.mean(resampled) > 0.5
    assert np.mean(halved) <= 0.15


@pytest.mark.parametrize(
    ("sizes", "size", "n_groups"),
    [([4] * 9 + [1], 4, 9), ([3] * 12, 3, 12), ([1] * 30 + [2] * 3, 1, 33), ([9] * 7 + [2] * 4, 2, 11)],
    ids=["short last one", "equal already", "pairs among singles", "too few large ones"],
)
def test_equal_groups_keep_most_items(rng, sizes, size, n_groups):
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    kept = groups[equal_groups(groups)]
    assert np.unique(kept, return_counts=True)[1].tolist() == [size] * n_groups


def test_whole_groups_change_places_with_their_like_and_keep_their_items_in_order(rng):
    groups = rng.permutation(np.repeat(np.arange(9), [3] * 4 + [5] * 4 + [7]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        orders = whole_group_permutations(groups, n_shuffles=50, rng=rng)
    assert (np.sort(orders, 1) == np.arange(len(groups))).all()
    for order, group in itertools.product(orders, range(9)):
        moved = order[groups == group]
        assert len(set(groups[moved])) == 1
        assert (np.diff(moved) > 0).all()
        assert group < 8 or (groups[moved] == 8).all()
    assert len(np.unique(orders, axis=0)) > 40
    with pytest.raises(ValueError, match="fewer than 20 arrangements"):
        whole_group_permutations(np.repeat(np.arange(8), np.arange(1, 9)), n_shuffles=9, rng=rng)


def test_permuted_variates_are_to_be_orthogonal_to_the_removed_ones(rng, monkeypatch):
    """Negative control: permuted as they are, they have more degrees of freedom and too much is found."""

    def as_permuted(products):
        found = np.empty(products.shape[:-1])
        for k in range(found.shape[-1]):
            values = np.linalg.svd(products[..., k:, k:], compute_uv=False)
            found[..., k] = -np.log(1 - np.minimum(values, 1 - 1e-12) ** 2).sum(-1)
        return found

    false = np.zeros(2)
    for seed in range(80):
        x, y = scenarios(rng, icc=0.8, shared=3)
        for i, statistic in enumerate((canonical.remaining, as_permuted)):
            with monkeypatch.context() as patch:
                patch.setattr(canonical, "remaining", statistic)
                options = {"rng": np.random.default_rng(seed), "groups": SCENARIOS, "n_permutations": 39}
                false[i] += dimension.shared_dimension(x, y, **options).dimension > 3
    assert false[0] / 80 <= 0.2
    assert false[1] >= 1.5 * false[0]


def test_few_groups_for_many_columns_are_said(rng):
    x, y = scenarios(rng)
    options = {"rng": rng, "n_permutations": 19}
    with pytest.warns(UserWarning, match="20 groups for 10 \\+ 10 columns.*n_components to at most 5"):
        dimension.shared_dimension(x, y, groups=SCENARIOS, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dimension.shared_dimension(x, y, groups=SCENARIOS, n_components=5, **options)
        dimension.shared_dimension(x, y, groups=SCENARIOS, within=True, **options)
        dimension.shared_dimension(x, y, **options)


def test_groups_that_never_move_are_said(rng):
    groups = np.repeat(np.arange(17), [4] * 16 + [7])
    x, y = rng.standard_normal((2, len(groups), 3))
    with pytest.warns(UserWarning, match="1 of 17 groups are of a size"):
        dimension.shared_dimension(x, y, rng=rng, groups=groups, n_permutations=19)


@pytest.mark.parametrize("n_groups", [8, 9])
def test_halves_split_groups_whole_and_sizes_evenly(rng, n_groups):
    codes = np.repeat(np.arange(n_groups), [3, 5] * (n_groups // 2) + [5] * (n_groups % 2))
    sides = []
    for _ in range(30):
        first, second = dimension._halves_of(codes, rng)
        assert sorted([*first, *second]) == list(range(len(codes)))
        assert not set(codes[first]) & set(codes[second])
        assert abs(len(first) - len(second)) <= 5
        sides.append(0 in codes[first])
    assert 3 < sum(sides) < 27


def states(n=60, p=3, **change):
    x = np.random.default_rng(0).standard_normal((n, p))
    for column, value in change.items():
        x[:, int(column[1:])] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (states(), states(59), {}, r"shapes \(60, 3\) and \(59, 3\)"),
        (states(), np.where(np.eye(60, 3), np.nan, 1), {}, r"y holds 3 NaN"),
        (states(c1=4.0), states(), {}, "half of x.* varies in 2 of its 3 columns"),
        (states(c1=states()[:, 0] * (1 + 1e-12)), states(), {}, "n_components to at most 2"),
        (states(60, 16), states(60, 16), {}, r"29 degrees of freedom for 16 \+ 16.*components to at most 14"),
        (states(), states(), {"n_components": 4}, "n_components=4"),
        (states(), states(), {"groups": np.repeat(np.arange(6), 10)}, "6 groups; at least 8"),
        (states(), states(), {"groups": np.arange(59)}, "one label per item"),
        (states(), states(), {"within": True}, "groups is None"),
        (states(), states(), {"groups": np.arange(60), "within": True}, "single item"),
        (states(), states(), {"level": 1.5}, "level=1.5"),
        (states(), states(), {"n_permutations": 18}, "n_permutations=18"),
        (states()[None], states()[None], {}, r"expected twice \(n, d\)"),
    ],
)
def test_bad_input_is_refused(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        dimension.shared_dimension(x, y, rng=np.random.default_rng(0), **options)


def test_bad_stacks_are_refused(rng):
    with pytest.raises(ValueError, match=r"expected twice \(layers, n, d\)"):
        dimension.dimension_profile(states(), states(), rng=rng)
    with pytest.raises(ValueError, match="at least two languages"):
        dimension.pairwise_dimensions(states()[None, None], rng=rng)
    with pytest.raises(ValueError, match="correlations are 1 whatever"):
        canonical.canonical_correlations(states(6), states(6))
