"""Codes of one language find each other; what is known of languages is complete, sourced, or refused."""

import numpy as np
import pandas as pd
import pytest
import yaml
from zspace import files
from zspace.errors import CorpusError, ParameterError
from zspace.sources import languages, stories

KNOWN = files.params("languages")
MEASURED = [code for code, entry in KNOWN.items() if "mc4_tokens" in entry]


def test_every_language_has_a_script_a_family_and_all_proxies():
    table = languages.table(MEASURED)
    assert table.index.tolist() == MEASURED
    assert len(MEASURED) >= 70
    assert not table.isna().any().any()
    assert set(KNOWN) - set(MEASURED) == {"as", "bs", "hr"}  # which mC4 does not tell apart or has not
    for code, entry in KNOWN.items():
        proxies = languages.PROXIES if code in MEASURED else languages.PROXIES[1:]
        assert set(entry) == {"name", "autonym", "script", "family", *proxies}
        assert all(entry.values())
    assert table["script"].str.fullmatch("[A-Z][a-z]{3}").all()


def test_languages_of_the_stories_are_all_known():
    codes = stories.languages()
    assert len(languages.table(codes)) == len(codes) == 11
    assert languages.distances(codes).shape == (11, 11)


def test_numbers_are_those_of_the_sources():
    table = languages.table(["en", "sw"])
    # Xue et al. (2021), table 6: 2733 and 1.0 billion tokens
    assert 10 ** (table["log_mc4_tokens"]["en"] - table["log_mc4_tokens"]["sw"]) == pytest.approx(2733)
    # CC-MAIN-2026-04: 41.6958 and .0126 per cent of all pages
    assert 10 ** (table["log_web_pages"]["en"] - table["log_web_pages"]["sw"]) == pytest.approx(
        41.6958 / 0.0126, rel=0.01
    )


def test_proxies_agree_in_rank_but_not_in_everything():
    table = languages.table(MEASURED)
    rho = table["log_mc4_tokens"].corr(table["log_web_pages"], method="spearman")
    assert 0.8 < rho < 1


def test_every_proxy_and_the_distances_name_their_source():
    for name in ("languages.yaml", "typology.csv"):
        text = (files.PROJECT / "params" / name).read_text("utf-8")
        header = [line for line in text.splitlines() if line.startswith("#")]
        assert any("20" in line for line in header)  # a year
    for proxy in languages.PROXIES:
        assert proxy in (files.PROJECT / "params" / "languages.yaml").read_text("utf-8").split("\nen:")[0]


def test_distances_are_distances():
    found = languages.distances(list(KNOWN))
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    off = found[~np.eye(len(found), dtype=bool)]
    assert off.min() > 0
    assert off.max() < 1
    # shares of 103 features that differ
    np.testing.assert_allclose(off * 103, np.round(off * 103), atol=0.01)
    near, far = (languages.distances(["en", code])[0, 1] for code in ("de", "ja"))
    assert near < far


def test_what_is_not_known_is_refused(monkeypatch):
    with pytest.raises(ParameterError, match="'xx'"):
        languages.table(["en", "xx"])
    with pytest.raises(ParameterError, match="xx"):
        languages.distances(["en", "xx"])
    broken = {"en": {**KNOWN["en"], "web_pages": None}}
    monkeypatch.setattr(files, "params", lambda name: broken)
    with pytest.raises(ParameterError, match="web_pages of en is None"):
        languages.table(["en"])


# --- codes


def test_parse_reads_texts_and_sequences_alike():
    assert languages.parse("en, zh-CN  pt_BR,") == ("en", "zh-CN", "pt_BR")
    assert languages.parse(["en", " zh-CN", "pt_BR "]) == languages.parse("en,zh-CN,pt_BR")
    for wrong in ("", " , ", [], "en,en", ["en", " en"]):
        with pytest.raises(CorpusError, match="expected one or more different language codes"):
            languages.parse(wrong)


def test_parse_says_what_became_of_a_bare_no():
    asked = yaml.safe_load("[en, no]")
    with pytest.raises(CorpusError, match=r'False is no language code.*YAML reads a bare no as false.*"no"'):
        languages.parse(asked)
    assert languages.parse(yaml.safe_load('[en, "no"]')) == ("en", "no")  # control
    with pytest.raises(CorpusError, match=r"7 is no language code; expected a text\.$"):
        languages.parse(["en", 7])


@pytest.mark.parametrize(
    "alike",
    [
        ("zh", "zho", "chi", "cmn", "zh-CN", "zh_Hans", "zho_Hans", "cmn-Hans-CN"),
        ("no", "nb", "nob", "nor", "nb-NO", "nob_Latn"),
        ("nn", "nno", "nno_Latn"),
        ("he", "iw", "heb", "heb_Hebr"),
        ("id", "in", "ind", "ind_Latn"),
        ("yi", "ji", "ydd_Hebr"),
        ("ar", "arb", "ara", "arb_Arab"),
        ("sw", "swh", "swa_Latn", "sw-KE"),
        ("pt", "por", "pt-BR", "por_Latn"),
        ("ko", "kor", "kor_Hang", "ko-KR"),
        ("fa", "pes_Arab", "fas"),
        ("sr", "srp_Cyrl", "sr-RS"),
        ("zh-TW", "zho_Hant", "cmn_Hant", "zh-Hant-TW"),
    ],
)
def test_codes_of_one_language_find_each_other_and_no_other(alike):
    others = ["en", "nn" if alike[0] != "nn" else "nb", "yue", "ja", "x", "README"]
    for asked in alike:
        for there in alike:
            assert languages.find(asked, [*others, there]) == there
            assert languages.find(asked.upper().replace("_", "-"), [there, *others]) == there
        assert languages.find(asked, others) is None
        assert languages.is_code(asked)


def test_regions_and_scripts_keep_languages_apart():
    for asked, there in [
        ("pt-BR", "pt-PT"),
        ("zh-TW", "zh-CN"),
        ("zho_Hant", "zh"),
        ("zh-TW", "zho_Hans"),
        ("hi", "hin_Latn"),
        ("sr", "srp_Latn"),
        ("nn", "no"),
        ("tl-x", "tl"),
    ]:
        assert languages.find(asked, [there]) is None, asked
        assert languages.find(there, [there]) == there


def test_a_code_that_means_several_names_is_refused():
    for asked, names in (("zh", ["zho_Hans", "zho_Hant"]), ("pt", ["pt-BR", "pt-PT"]), ("En", ["EN", "en"])):
        with pytest.raises(CorpusError, match=f"'{asked}' may be {names[0]} or {names[1]}; ask for one"):
            languages.find(asked, names)
        assert languages.find(names[1], names) == names[1]  # control
    assert languages.find("zho", ["zh-TW", "zh"]) == "zh"  # the same code in full goes before a wider reading


def test_no_code_stands_for_two_languages():
    path = files.PROJECT / "params" / "language_codes.csv"
    table = pd.read_csv(path, comment="#", keep_default_na=False)
    codes = [code for row in table.itertuples() for code in (row.code, *row.aliases.split())]
    assert len(codes) == len(set(codes)) > 800
    assert set(table["script"].str.len()) <= {0, 4}
    header = path.read_text("utf-8").split("\ncode,")[0]
    assert "CLDR" in header
    for code, script in (
        ("en", "Latn"),
        ("ru", "Cyrl"),
        ("zh", "Hans"),
        ("zh-HK", "Hant"),
        ("hi_Latn", "Latn"),
    ):
        assert languages.script(code) == script
    assert [languages.script(code) for code in KNOWN] == [entry["script"] for entry in KNOWN.values()]
    assert languages.script("README") == languages.script("qqq") == ""


def test_names_of_other_things_are_no_codes():
    for name in (
        "README",
        "source",
        "url",
        "text",
        "item",
        "scenario",
        "answer",
        "train",
        "LICENSE",
        "",
        "e",
    ):
        assert not languages.is_code(name), name
    assert languages.is_code("kbp_Latn")  # of any language, with its script


def test_what_is_known_is_found_by_any_code_and_keeps_the_code():
    usual, asked = languages.table(["en", "zh", "sw"]), languages.table(["eng_Latn", "zh-CN", "swh"])
    assert asked.index.tolist() == ["eng_Latn", "zh-CN", "swh"]
    assert asked.to_numpy().tolist() == usual.to_numpy().tolist()
    np.testing.assert_array_equal(
        languages.distances(["eng_Latn", "zh-TW", "swh"]), languages.distances(["en", "zh", "sw"])
    )
    with pytest.raises(
        ParameterError, match=r"'hi_Latn'; params/languages.yaml has hi in the script Deva, not in"
    ):
        languages.table(["hi_Latn"])


def test_a_parameter_file_with_a_bare_no_is_refused(monkeypatch):
    broken = {**KNOWN, **yaml.safe_load("no: {name: Norwegian}")}
    monkeypatch.setattr(files, "params", lambda name: broken)
    with pytest.raises(ParameterError, match=r"has the code False; YAML reads a bare no as false"):
        languages.table(["en"])


@pytest.mark.parametrize("name", ["languages", "corpora", "grid", "models", "claims"])
def test_committed_parameters_have_no_key_that_yaml_took_for_a_truth_value(name):
    def keys(content):
        if isinstance(content, dict):
            yield from content
        for value in content.values() if isinstance(content, dict) else content:
            if isinstance(value, dict | list):
                yield from keys(value)

    assert all(isinstance(key, str) for key in keys(files.params(name)))


def test_anchor_is_english_by_any_code_else_the_first():
    assert languages.anchor(["de", "eng_Latn"]) == "eng_Latn"
    assert languages.anchor(["de", "en-GB", "fr"]) == "en-GB"
    assert languages.anchor(["fr", "de"]) == "fr"
