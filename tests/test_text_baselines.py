"""Token overlap and the surface baseline: the weighted cosine by loops, planted texts and their controls."""

import numpy as np
import pytest
from zspace.measures import text_baselines


@pytest.fixture(params=(0, 1, 2))
def rng(request):
    return np.random.default_rng(request.param)


IDS_X = np.array([[5, 1, 2, -1], [5, 3, 3, 4], [5, 6, -1, -1]])
IDS_Y = np.array([[5, 2, 7, 1, 1], [5, 3, -1, -1, -1], [5, 8, 9, 7, -1]])


def test_token_overlap_equals_the_weighted_cosine_of_counts():
    def bag(row, weight):
        return np.array([weight.get(t, 0) * np.sum(row == t) for t in range(10)])

    holding = {t: sum(t in row for row in [*IDS_X, *IDS_Y]) for t in range(10)}
    weight = {t: np.log(7 / (1 + h)) for t, h in holding.items()}
    found, expected = text_baselines.token_overlap(IDS_X, IDS_Y), np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        a, b = bag(IDS_X[i], weight), bag(IDS_Y[j], weight)
        expected[i, j] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[2, 0] == 0  # they share token 5 only, which every text holds
    summary = text_baselines.mean_token_overlap(IDS_X, IDS_Y)
    assert summary.matched > 0.3 > 0.1 > summary.unmatched


def test_lexical_outcomes_find_shared_tokens_and_nothing_else(rng):
    n = 60
    numbers = rng.integers(100, 400, (n, 3))
    own = [np.hstack([rng.integers(low, low + 20, (n, 9)), numbers]) for low in (0, 20)]
    assert text_baselines.lexical_outcomes(*own).mean() > 0.9
    foreign = [ids[:, :9] for ids in own]
    assert text_baselines.lexical_outcomes(*foreign).mean() < 0.1


def test_lexical_outcomes_find_like_lengths_of_ids_that_are_not_padding():
    ids_x = np.where(np.arange(9) < np.arange(1, 7)[:, None], 1, -1)
    ids_y = np.where(np.arange(18) < 3 * np.arange(1, 7)[:, None], 2, -1)
    assert text_baselines.lexical_outcomes(ids_x, ids_y).all()
    groups = np.repeat([0, 1], 3)
    assert text_baselines.lexical_outcomes(ids_x, ids_y, groups=groups, level="within").all()


TEXTS = ["Three red birds", "a  b\n", "太阳 从东方"]  # of 3, 2 and 2 words; of 13, 2 and 5 characters
N_TOKENS, N_REFERENCE = [6, 2, 10], [3, 4, 8]


def test_fertility_equals_counts_by_hand():
    found = text_baselines.fertility(TEXTS, N_TOKENS, N_REFERENCE)
    assert found.tokens == 6  # (6 + 2 + 10) / 3
    assert found.per_word == pytest.approx(18 / 7)  # of all texts, not the mean over texts
    assert found.per_character == pytest.approx(18 / 20)
    assert found.premium == pytest.approx((2 + 0.5 + 1.25) / 3)  # mean of ratios, not 18 / 15
    tripled = text_baselines.fertility(TEXTS, 3 * np.array(N_TOKENS), N_REFERENCE)
    assert (tripled.per_word, tripled.premium) == pytest.approx((54 / 7, 3.75))


def test_fertility_has_no_words_in_scripts_that_write_none():
    unspaced = text_baselines.fertility(TEXTS, N_TOKENS, N_REFERENCE, spaced=False)
    spaced = text_baselines.fertility(TEXTS, N_TOKENS, N_REFERENCE)
    assert np.isnan(unspaced.per_word)
    kept = ("tokens", "per_character", "premium")
    assert [getattr(unspaced, name) for name in kept] == [getattr(spaced, name) for name in kept]


@pytest.mark.parametrize(
    ("texts", "n_tokens", "n_reference", "message"),
    [
        (TEXTS, [6, 2], N_REFERENCE, "3 texts with 2 and 3 token counts; expected texts"),
        (TEXTS, N_TOKENS, [3, 4, 5, 6], "3 texts with 3 and 4 token counts"),
        (TEXTS[:2], N_TOKENS, N_REFERENCE, "2 texts with 3 and 3 token counts"),
        (TEXTS, [6, 0, 10], N_REFERENCE, "at least 1"),
        (TEXTS, N_TOKENS, [3, 0, 5], "at least 1"),
        ([], [], [], "0 texts with 0 and 0 token counts"),
        (["a", " \n"], [1, 1], [1, 1], "expected texts, none of them blank"),
    ],
)
def test_fertility_refuses_counts_that_do_not_fit_the_texts(texts, n_tokens, n_reference, message):
    with pytest.raises(ValueError, match=message):
        text_baselines.fertility(texts, n_tokens, n_reference)
