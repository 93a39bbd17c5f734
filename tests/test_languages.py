"""What is known of languages beforehand: complete, sourced, and refused where it is not."""

import numpy as np
import pytest
from zspace import files
from zspace.errors import ParameterError
from zspace.sources import languages, stories

KNOWN = files.params("languages")


def test_every_language_has_a_script_a_family_and_all_proxies():
    table = languages.table(list(KNOWN))
    assert table.index.tolist() == list(KNOWN)
    assert not table.isna().any().any()
    for entry in KNOWN.values():
        assert set(entry) == {"name", "autonym", "script", "family", *languages.PROXIES}
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
    table = languages.table(list(KNOWN))
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
