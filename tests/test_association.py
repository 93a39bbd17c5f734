"""Rank association and Mantel's test: published critical values, brute force, size and power."""

import itertools

import numpy as np
import pytest
from builders import compatible
from scipy import stats
from zspace.measures import association
from zspace.measures.resampling import mantel

# two-sided .05 critical values of Spearman's rho: Ramsey (1989), J. Educational Statistics 14
CRITICAL = {6: 0.886, 7: 0.786, 8: 0.738, 9: 0.700, 10: 0.648}


def spearman(x, y, alternative="two-sided", rng=None):
    """The correlation and its p-value."""
    rho, null = association.spearman_null(x, y, rng=rng)
    exact = np.size(x) <= association.EXACT_UP_TO
    return rho, association.permutation_pvalue(rho, null, alternative, exact=exact)


@pytest.mark.parametrize("n", CRITICAL)
def test_critical_values_are_the_published_ones(n):
    _, null = association.spearman_null(range(n), range(n))
    assert association.critical_value(null) == pytest.approx(CRITICAL[n], abs=6e-4)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_pvalue_equals_brute_force_under_ties(alternative, rng):
    x, y = rng.integers(0, 4, 6).astype(float), rng.integers(0, 3, 6).astype(float)
    y[:2] = np.inf
    found = spearman(x, y, alternative)
    finite = np.where(np.isinf(y), 99, y)
    rho = stats.spearmanr(x, finite)[0]
    orders = np.array(list(itertools.permutations(range(6))))
    null = np.corrcoef(stats.rankdata(x), stats.rankdata(finite)[orders])[0, 1:]
    extreme = {
        "two-sided": np.abs(null) >= abs(rho) - 1e-9,
        "greater": null >= rho - 1e-9,
        "less": null <= rho + 1e-9,
    }[alternative]
    assert found == pytest.approx((rho, extreme.mean()), abs=1e-12)


def test_only_the_order_counts(rng):
    x, y = rng.standard_normal((2, 8))
    found = spearman(x, y)
    assert spearman(np.exp(x), y**3) == pytest.approx(found)
    assert spearman(x, np.abs(y))[0] != pytest.approx(found[0])  # negative control: not monotone


def test_all_tied_is_no_association():
    assert spearman([1, 2, 3, 4, 5], [np.inf] * 5) == (0, 1)
    assert association.critical_value(np.zeros(120)) == np.inf


def test_more_than_ten_languages_are_sampled(rng):
    x = np.arange(14.0)
    with pytest.raises(ValueError, match="too many orders"):
        association.spearman_null(x, x)
    y = x + 3 * rng.standard_normal(14)
    assert spearman(x, y, rng=rng)[1] == pytest.approx(stats.spearmanr(x, y)[1], abs=0.02)


def test_partial_correlation_removes_what_a_covariate_explains(rng):
    rejected = np.zeros(2)
    for _ in range(300):
        cause = rng.standard_normal(11)
        x, y = cause + 0.5 * rng.standard_normal((2, 11))
        partial = association.partial_spearman(x, y, cause, n_permutations=199, rng=rng).pvalue
        rejected += partial < 0.05, spearman(x[:7], y[:7])[1] < 0.05
    assert rejected[0] / 300 < 0.12  # ranks of a covariate leave a little of it
    assert rejected[1] / 300 > 0.3


def test_partial_correlation_equals_the_formula_of_one_covariate(rng):
    x, y, z = rng.standard_normal((3, 12))
    r = {k: stats.spearmanr(*v)[0] for k, v in {"xy": (x, y), "xz": (x, z), "yz": (y, z)}.items()}
    expected = (r["xy"] - r["xz"] * r["yz"]) / np.sqrt((1 - r["xz"] ** 2) * (1 - r["yz"] ** 2))
    found = association.partial_spearman(x, y, z, rng=rng)
    assert found.statistic == pytest.approx(expected, abs=1e-12)


def symmetric(rng, n):
    values = rng.standard_normal((n, n))
    return values + values.T


@pytest.mark.parametrize("n", [4, 5])
def test_mantel_equals_brute_force(n, rng):
    a, b = symmetric(rng, n), symmetric(rng, n)
    upper = np.triu_indices(n, 1)
    observed = np.corrcoef(a[upper], b[upper])[0, 1]
    orders = itertools.permutations(range(n))
    null = [np.corrcoef(a[upper], b[np.ix_(p, p)][upper])[0, 1] for p in orders]
    found = mantel(a, b, rng=rng)
    assert found.statistic == pytest.approx(observed, abs=1e-12)
    assert found.pvalue == pytest.approx((np.abs(null) >= abs(observed) - 1e-9).mean(), abs=1e-12)
    assert found.n_resamples == len(null)


def test_mantel_holds_its_size_where_pairs_share_languages_and_the_naive_test_does_not(rng):
    rejected, upper = np.zeros(2), np.triu_indices(9, 1)
    for _ in range(300):
        a, b = (e[:, None] + e + symmetric(rng, 9) / 2 for e in 1.5 * rng.standard_normal((2, 9)))
        naive = stats.pearsonr(a[upper], b[upper])[1]
        rejected += mantel(a, b, n_permutations=199, rng=rng).pvalue < 0.05, naive < 0.05
    assert compatible(rejected[0], 300, 0.05)
    assert rejected[1] > 60


def test_mantel_finds_a_common_part(rng):
    common = symmetric(rng, 11)
    a, b = (common + 0.5 * symmetric(rng, 11) for _ in range(2))
    found = mantel(a, b, n_permutations=999, rng=rng)
    assert found.statistic > 0.5
    assert found.pvalue < 0.01


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.zeros((3, 3)), "n >= 4"),
        (np.arange(16.0).reshape(4, 4), "symmetric"),
        (np.ones((4, 4)), "all pairs"),
        (np.full((4, 4), np.nan), "finite"),
    ],
    ids=["small", "asymmetric", "constant", "nan"],
)
def test_mantel_refuses(a, message, rng):
    b = symmetric(rng, len(a))
    with pytest.raises(ValueError, match=message):
        mantel(a, b, rng=rng)


@pytest.mark.parametrize("x", [[1, 2, 3], [1, 2, np.nan, 4], [[1, 2, 3, 4]]], ids=["few", "nan", "shape"])
def test_spearman_refuses(x):
    with pytest.raises(ValueError, match="expected two"):
        association.spearman_null(x, np.arange(np.shape(x)[-1]))


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_mantel_does_not_depend_on_the_unit(rng, unit):
    a, b = (m + m.T for m in rng.standard_normal((2, 5, 5)))
    found, scaled = (mantel(a, factor * b, rng=rng) for factor in (1.0, unit))
    assert scaled.statistic == pytest.approx(found.statistic)
    assert scaled.pvalue == found.pvalue


def test_partial_spearman_refuses_too_few_languages(rng):
    with pytest.raises(ValueError, match="degrees of freedom"):
        association.partial_spearman(range(6), range(6), np.zeros((6, 2)), rng=rng)


def test_unknown_alternative_is_refused():
    with pytest.raises(ValueError, match="unknown alternative"):
        spearman(range(5), range(5), "both")


# --- families

FAMILIES = (np.repeat(list("abcdefgh"), 5), np.arange(40) // 2)


def relatives(rng, share):
    """(40,) normal numbers of which families have a share of the variance."""
    common = rng.standard_normal(8)[np.repeat(np.arange(8), 5)]
    return np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal(40)


def test_family_partial_equals_the_partial_correlation_of_whitened_ranks(rng, monkeypatch):
    x, y, z = rng.standard_normal((3, 40))
    monkeypatch.setattr(association, "_RESEMBLANCE", np.array([0.3]))
    association._ways.cache_clear()
    found = association.family_partial(x, y, z, FAMILIES)
    association._ways.cache_clear()
    same = [np.equal.outer(labels, labels) for labels in FAMILIES]
    whiten = np.linalg.inv(np.linalg.cholesky(0.3 * same[0] + 0.3 * same[1] + 0.4 * np.eye(40)))
    design = whiten @ np.column_stack([np.ones(40), stats.rankdata(z)])
    a, b = (
        v - design @ np.linalg.lstsq(design, v, rcond=None)[0]
        for v in (whiten @ stats.rankdata(x), whiten @ stats.rankdata(y))
    )
    r = a @ b / np.sqrt(a @ a * (b @ b))
    assert found.estimate == pytest.approx(r, abs=1e-9)
    error = np.sqrt((1 + r**2 / 2) / (40 - 1 - 2 - 1))
    limits = np.tanh(np.arctanh(r) + stats.norm.ppf([0.025, 0.975]) * error)
    assert (found.low, found.high) == pytest.approx(limits, abs=0.01)
    assert found.resemblance == pytest.approx([0.3, 0.3])


def test_family_partial_depends_on_order_alone(rng):
    x, y, z = rng.standard_normal((3, 40))
    one = association.family_partial(x, y, z, FAMILIES)
    for other in (
        association.family_partial(np.exp(x), y**3, np.exp(z), FAMILIES),
        association.family_partial(x, y, np.column_stack([z, np.ones(40)]), FAMILIES),  # says nothing
    ):
        assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))
    turned = association.family_partial(x, -y, z, FAMILIES)
    assert (turned.estimate, turned.low) == pytest.approx((-one.estimate, -one.high), abs=0.01)
    assert association.family_partial(x, y, x, FAMILIES).low == -1  # nothing of x is left beside itself


def test_family_partial_finds_how_much_relatives_resemble_each_other(rng):
    x, z = rng.standard_normal((2, 40))
    strong, none = (
        np.mean(
            [
                association.family_partial(x, relatives(r, s), z, FAMILIES).resemblance[0]
                for r in rng.spawn(20)
            ]
        )
        for s in (0.8, 0.0)
    )
    assert strong > 0.4 > 0.2 > none


def test_family_partial_holds_its_size_where_the_plain_one_does_not(rng):
    """Shares and outcomes both resemble those of relatives, and nothing else connects them."""
    rejected = np.zeros(2)
    for r in rng.spawn(150):
        x, y, z = relatives(r, 0.7), relatives(r, 0.7), r.standard_normal(40)
        found = association.family_partial(x, y, z, FAMILIES)
        plain = association.partial_spearman(x, y, z, n_permutations=199, rng=r)
        rejected += not found.low < 0 < found.high, plain.pvalue < 0.05
    assert compatible(rejected[0], 150, 0.05)
    assert rejected[1] / 150 > 0.15  # negative control


def test_family_partial_finds_what_is_planted(rng):
    found = []
    for r in rng.spawn(20):
        x, z = r.standard_normal((2, 40))
        found.append(association.family_partial(x, -0.7 * x + z + 0.7 * relatives(r, 0.5), z, FAMILIES))
    assert np.mean([one.high < 0 for one in found]) > 0.8
    assert all(np.quantile(one.replicates, 0.5) < 0 for one in found)
    for one in found:
        assert np.quantile(one.replicates, [0.025, 0.975]) == pytest.approx((one.low, one.high), abs=0.02)


def test_family_partial_of_nothing_that_varies_may_be_anything(rng):
    x, z = rng.standard_normal((2, 40))
    found = association.family_partial(x, np.full(40, np.inf), z, FAMILIES)
    assert (found.estimate, found.low, found.high) == (0, -1, 1)


def test_partial_power_is_that_of_simulated_languages(rng):
    """Power of |rho| = .5 without covariates over 20 and 40 unrelated languages."""
    for n in (20, 40):
        expected = association.partial_power(-0.5, n, 0)
        hits = 0
        for _ in range(200):
            x, e = rng.standard_normal((2, n))
            hits += stats.spearmanr(x, -0.52 * x + np.sqrt(1 - 0.52**2) * e)[1] < 0.05
        assert hits / 200 == pytest.approx(expected, abs=0.12)
    assert association.partial_power(0.5, 7, 5) == 0
