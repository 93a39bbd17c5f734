"""What claims need is declared, compared with what there is, and refused in one line at once."""

import functools
import subprocess
import sys
import time

import numpy as np
import odd_corpora
import pytest
from zspace import files
from zspace.errors import ClaimError, MeasureError, ModelError, ParameterError, ZspaceError
from zspace.evidence import claims, laboratory, needs, preflight, study
from zspace.pages import parameters
from zspace.sources import corpora

FOLDER = files.PROJECT / "notebooks"
# notebooks that take a corpus
NOTEBOOKS = [
    name
    for name in (p.stem for p in sorted(FOLDER.glob("*.ipynb")))
    if "corpus" in parameters.notebook_parameters(FOLDER / f"{name}.ipynb")
]
_TWENTY = tuple(f"text {i}" for i in range(20))


def facts_of(scenarios, *, languages=2, discovery=None, same=False, levels=None, texts=_TWENTY):
    """Facts of items with the scenarios given; discovery is every third scenario."""
    scenario = np.array(scenarios)
    split = np.isin(scenario, np.unique(scenario)[::3]) if discovery is None else np.array(discovery)
    own = {f"l{k}": [t if same else f"{k} {t}" for t in texts[: len(scenario)]] for k in range(languages)}
    return needs.of_items(own, scenario, split, None if levels is None else np.array(levels))


def values(facts):
    return {name: fact.value for name, fact in facts.items()}


def test_facts_count_different_texts_in_the_language_that_has_fewest():
    texts = {"en": ["a", "a", "b", "c", "d", "e"], "de": ["a'", "b'", "c'", "c'", "d'", "e'"]}
    found = values(needs.of_items(texts, np.array(list("ssssuv")), np.array([1, 1, 1, 1, 0, 0], bool)))
    assert found["discovery_texts"] == 3
    assert found["directions"] == 4
    assert (found["scenarios"], found["confirmation_scenarios"], found["confirmation_items"]) == (3, 2, 2)


def test_directions_of_languages_with_the_same_texts_are_half_as_many():
    scenarios = list(range(15))
    assert values(facts_of(scenarios))["directions"] == 8
    assert values(facts_of(scenarios, same=True))["directions"] == 4


def test_directions_are_those_in_which_states_vary(rng):
    """The count against the rank of states that are a function of the text."""
    for own, other in (("abcde", "vwxyz"), ("abcde", "abcde"), ("abcde", "cdefg"), ("aabbc", "xyxyx")):
        vectors = {letter: rng.standard_normal(40) for letter in "abcdefgvwxyz"}
        both = [np.array([vectors[t] for t in rows]) for rows in (own, other)]
        rank = np.linalg.matrix_rank(np.vstack([s - s.mean(0) for s in both]))
        texts = {"x": list(own), "y": list(other)}
        found = needs.of_items(texts, np.arange(5), np.ones(5, bool))["directions"].value
        assert found == rank


def test_levels_count_only_where_every_scenario_has_each():
    scenario = [0, 0, 1, 1, 2, 2]
    assert values(facts_of(scenario, levels=[1, 2] * 3))["levels"] == 2
    assert values(facts_of(scenario, levels=[1, 2, 1, 2, 1, 1]))["levels"] == 0
    assert values(facts_of(scenario, levels=[0] * 6))["levels"] == 1


def test_quarters_are_counted_by_their_smallest_scenarios():
    # of eight scenarios the smallest two have one item each
    assert values(facts_of([0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]))["quarter_texts"] == 2


def test_require_names_all_that_is_missing_in_one_line():
    claim = "prediction_6_bridge_conditioning"
    with pytest.raises(ParameterError) as refused:
        needs.require([claim], facts_of(range(12)), "mine in en, de")
    words = str(refused.value)
    assert "\n" not in words
    for part in (
        "mine in en, de",
        claim,
        "2 languages (at least 4 needed)",
        "(at least 8 needed)",
        "name more",
    ):
        assert part in words
    enough = facts_of(np.repeat(range(4), 8), languages=4, texts=tuple(map(str, range(32))))
    needs.require([claim], enough, "mine")
    with pytest.raises(ParameterError, match=r"7 dimensions \(at least 8 needed\)"):
        needs.require([claim], enough | needs.of_sizes(width=7), "mine")


def test_every_pair_needs_texts_that_differ_and_scenarios():
    for scenario, texts in ((range(6), ("one text",) * 6), ([0] * 6, _TWENTY), (range(3), _TWENTY)):
        with pytest.raises(ParameterError, match="a pair of languages"):
            needs.require([], facts_of(scenario, texts=texts), "mine")
    needs.require([], facts_of(range(6)), "mine")


def test_shares_are_known_or_named():
    assert needs.of_languages(["de", "sw"])["shares"].value == 2
    unknown = needs.of_languages(["de", "xx"])["shares"]
    assert unknown.value == 1
    assert "(not in xx)" in unknown.words


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"num_hidden_layers": 3, "hidden_size": 16}, {"layers": 3, "width": 16}),
        ({"n_layer": 4, "n_embd": 8}, {"layers": 4, "width": 8}),
        ({"text_config": {"num_hidden_layers": 2, "hidden_size": 32}}, {"layers": 2, "width": 32}),
        ({"architectures": ["Unheard"]}, {}),
        ({"text_config": None, "hidden_size": "wide"}, {}),
        (["a list"], {}),
    ],
)
def test_layers_and_width_of_configurations(config, expected):
    assert values(needs.of_configuration(config)) == expected


@pytest.mark.parametrize(
    "declared", [{"tongues": 2}, {"languages": 0}, {"languages": "two"}, {"layers": 1.5}]
)
def test_malformed_needs_are_refused(declared):
    with pytest.raises(ClaimError, match="needs"):
        needs.check_declared("params/claims.yaml, mine", declared)


def test_every_declared_need_is_known_and_some_are():
    declared = [entry["needs"] for entry in claims.entries().values() if "needs" in entry]
    assert len(declared) >= 10
    assert set().union(*declared) <= set(needs.REMEDIES)


@functools.cache
def defaults(notebook):
    return parameters.notebook_parameters(FOLDER / f"{notebook}.ipynb")


def given(notebook, **changes):
    """All parameters of a notebook, with changes."""
    known = defaults(notebook)
    return known | {name: value for name, value in changes.items() if name in known}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_as_committed_are_not_refused(notebook):
    preflight.check(notebook, given(notebook))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return list(odd_corpora.all_of_them(tmp_path_factory.mktemp("odd")))


def judged_by(notebook):
    return [name for name, entry in claims.entries().items() if entry["notebook"] == notebook]


def test_odd_corpora_are_accepted_or_refused_in_one_line_at_once(odd, monkeypatch):
    monkeypatch.setattr(needs, "of_model", lambda model, corpus: {})
    accepted, refused, spent = {}, [], []
    for name, path, languages in odd:
        start, accepted[name] = time.process_time(), set()
        facts = needs.of_texts(corpora.load(path, languages), "m")
        for notebook in NOTEBOOKS:
            try:
                needs.require(judged_by(notebook), facts, name)
                accepted[name].add(notebook)
            except ParameterError as refusal:
                refused.append(str(refusal))
        spent.append(time.process_time() - start)
    assert max(spent) < 1
    assert not [words for words in refused if "\n" in words]
    assert all(
        not accepted[name] for name in ("one-text", "templates", "one-scenario", "one-language", "rows-3")
    )
    always = {"controls", "explore", "prediction_1_retrieval_by_layer", "theorem_2_snr_descent"}
    assert always <= accepted["rows-6"]
    shares = {"prediction_3_language_depth", "conjecture_4_share_and_depth"}
    assert shares <= accepted["known-six-of-45"]
    assert not shares & accepted["unknown-six"]
    levels = {"prediction_4_problem_depth", "conjecture_5_difficulty_and_depth"}
    assert levels <= accepted["levels-12-by-3"]
    assert not levels & (accepted["levels-12-by-1"] | accepted["levels-incomplete"] | accepted["rows-60"])
    assert all(any(notebook in found for found in accepted.values()) for notebook in NOTEBOOKS)


@pytest.mark.parametrize("notebook", ["explore", "prediction_6_bridge_conditioning"])
def test_preflight_is_what_a_notebook_asks_when_it_loads_its_texts(odd, notebook, monkeypatch):
    monkeypatch.setattr(needs, "of_model", lambda model, corpus: {})
    _, path, languages = next(one for one in odd if one[0] == "rows-9")
    space = {**given(notebook, corpus=path, languages=languages, version=""), "CLAIMS": judged_by(notebook)}
    said = []
    for ask in (lambda: preflight.check(notebook, space), lambda: laboratory.open_lab(space).load()):
        try:
            ask()
            said.append("")
        except ParameterError as refusal:
            said.append(str(refusal))
    assert said[0] == said[1]
    assert bool(said[0]) == (notebook != "explore")


def test_unknown_models_are_refused_before_anything_is_loaded(odd):
    _, path, languages = next(one for one in odd if one[0] == "rows-24")
    with pytest.raises(ZspaceError, match="no model 'nobody'"):
        preflight.check("explore", given("explore", model="nobody", corpus=path, languages=languages))


def test_preflight_needs_no_torch():
    code = "import sys; from zspace.evidence import preflight; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_facts_of_pairs_are_those_of_their_texts():
    texts = corpora.load("number-stories", "en,de", n_scenarios=9, n_draws=2)
    discovery, _ = texts.split()
    found = values(needs.of_items(texts.texts, texts.items["scenario"].to_numpy(), discovery))
    assert (found["discovery_texts"], found["confirmation_scenarios"]) == (6, 6)


@pytest.mark.parametrize(
    ("kind", "residual"), [("llama", True), ("xlm-roberta", False), ("bert", False), ("modernbert", True)]
)
def test_a_claim_about_contributions_refuses_an_encoder_that_adds_none(kind, residual):
    facts = needs.of_kind("m", {"model_type": kind, "architectures": ["X"]})
    assert facts["residual"].value is residual
    needs.require(["prediction_1_aligned"], facts, "m")  # negative control: about states alone
    if residual:
        needs.require(["prediction_2_update_agnosticism"], facts, "m")
        return
    with pytest.raises(ParameterError, match=r"are bidirectional, post-norm \(a residual stream needed\)"):
        needs.require(["prediction_2_update_agnosticism"], facts, "m")


def test_a_model_that_nothing_follows_is_refused_before_it_is_loaded():
    with pytest.raises(ModelError, match="sequence-to-sequence"):
        needs.of_kind("m", {"model_type": "t5", "is_encoder_decoder": True})
    assert needs.of_kind("m", {}) == {}


def test_choices_that_cannot_be_measured_are_empty_rows_that_say_why():
    def number(pair):
        if pair == "few":
            raise MeasureError("too few items.")
        return {"trained": 1.0, "random-0": 0.5}

    choices = {
        "primary": ({"zh": "many"}, number),
        "other": ({"zh": "few"}, number),
        "third": ({}, number),
    }
    table = study.compare_choices(choices, "best")
    assert table.loc["primary"].tolist() == [1.0, 0.5]
    assert table.drop(index="primary").isna().all(axis=None)
    assert [words.partition(" (not measured: ")[2] for words in table.index] == [
        "",
        "too few items.)",
        "these states are not there)",
    ]
    by_part = {(name, "part"): choice for name, choice in choices.items()}
    assert study.compare_choices(by_part, "best").index.get_level_values(1).tolist() == ["part"] * 3
