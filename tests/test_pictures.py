"""Names of pictures: aligned by code point, families together, the same whatever languages are asked for."""

import numpy as np
import pytest
from zspace.errors import CorpusError
from zspace.sources import corpora, pictures

CODES = ("en", "zh", "ja", "ar", "ko")


@pytest.fixture
def annotations(tmp_path):
    """CLDR's folder of names in two languages, with one name that is inherited and one that is empty."""
    whole = {
        "en": {"📗": "green book", "🦈": "shark", "👨": "man", "👻": "ghost", "☕": "hot drink"},
        "sw": {"📗": "kitabu", "🦈": "↑↑↑", "👨": "mwanamume", "👻": " ", "☕": "kahawa"},
    }
    derived = {
        "en": {"👨‍🏭": "man factory worker", "👩‍🏭": "woman factory worker"},
        "sw": {"👨‍🏭": "mfanyakazi wa kiume", "👩‍🏭": "mfanyakazi wa kike"},
    }
    for part, by_language in (("annotations", whole), ("annotationsDerived", derived)):
        (tmp_path / part).mkdir()
        for code, named in by_language.items():
            entries = [f'<annotation cp="{cp}">key | words</annotation>' for cp in named]
            entries += [f'<annotation cp="{cp}" type="tts">{name}</annotation>' for cp, name in named.items()]
            content = f"<ldml><annotations>{''.join(entries)}</annotations></ldml>"
            (tmp_path / part / f"{code}.xml").write_text(content, encoding="utf-8")
    return tmp_path


def test_names_pair_by_code_point():
    found = pictures.names(CODES)
    assert len(found) > 1500
    assert found["U+1F4D7"] == {
        "en": "green book",
        "zh": "绿色书本",
        "ja": "緑の本",
        "ar": "كتاب أخضر",
        "ko": "초록색 책",
    }
    assert all(tuple(one) == CODES and all(one.values()) for one in found.values())


def test_names_leave_out_flags_tones_and_digits():
    everything = pictures.names()
    text = " ".join(name for named in everything.values() for name in named.values())
    assert not any(sign.isdecimal() for sign in text)
    assert not any("1F3FB" <= part <= "1F3FF" or "1F1E6" <= part <= "1F1FF"
                   for key in everything for part in key.removeprefix("U+").split("-"))  # fmt: skip
    assert "U+1F3C1" in everything  # the flag of a race is a thing, not a country


def test_order_does_not_hang_on_the_languages():
    every, few = list(pictures.names()), list(pictures.names(("en", "tr")))
    assert few == [key for key in pictures.families() if key in set(few)]
    assert every == [key for key in few if key in set(every)]


def test_families_hold_the_same_work_of_all_persons_and_stand_together():
    family = pictures.families()
    assert family["U+1F468-200D-1F3ED"] == family["U+1F469-200D-1F3ED"] == family["U+1F9D1-200D-1F3ED"]
    assert family["U+1F64D"] == family["U+1F64D-200D-2642"] == family["U+1F64D-200D-2640"]
    # negative control: another work, another thing
    assert (
        len({family[key] for key in ("U+1F468-200D-1F3ED", "U+1F468-200D-1F373", "U+1F4D7", "U+1F4D8")}) == 4
    )
    labels = np.array(list(family.values()))
    assert 1 + (labels[1:] != labels[:-1]).sum() == len(set(labels))


def test_annotations_give_the_pictures_named_in_all_languages(annotations):
    assert pictures.is_annotations(annotations)
    found = pictures.names(("en", "sw"), folder=annotations)
    assert {one["en"] for one in found.values()} == {
        "green book", "man", "hot drink", "man factory worker", "woman factory worker",
    }  # fmt: skip
    assert len(pictures.names(("en",), folder=annotations)) == 7


@pytest.mark.parametrize(
    ("codes", "damage", "words"),
    [
        (("en", "xx"), None, "no names in 'xx'; it has en, sw"),
        (("en", "sw"), "<ldml><annotation", r"sw\.xml is not a file of CLDR annotations"),
        (("en", "sw"), "<ldml></ldml>", "no picture has a name in all of en, sw"),
    ],
)
def test_annotations_that_cannot_be_read_are_refused(annotations, codes, damage, words):
    if damage:
        for part in ("annotations", "annotationsDerived"):
            (annotations / part / "sw.xml").write_text(damage, encoding="utf-8")
    with pytest.raises(CorpusError, match=words):
        pictures.names(codes, folder=annotations)


def test_language_that_the_package_lacks_is_refused():
    with pytest.raises(CorpusError, match=r"no language 'sw'; the emoji package has en, ar, .*CLDR"):
        pictures.names(("en", "sw"))


def test_corpus_of_picture_names_has_families_as_scenarios_whatever_is_read():
    few, many = (corpora.load("picture-names", codes) for codes in (("en", "zh"), CODES))
    assert (few.name, few.version, few.has_scenarios) == ("picture-names", "as-is", False)
    assert few.pool == many.pool
    sides = [dict(zip(one.items["item"], one.split()[0], strict=True)) for one in (few, many)]
    shared = sides[0].keys() & sides[1].keys()
    assert {key: sides[0][key] for key in shared} == {key: sides[1][key] for key in shared}
    by_item = dict(zip(many.items["item"], many.items["scenario"], strict=True))
    assert by_item["U+1F468-200D-1F3ED"] == by_item["U+1F469-200D-1F3ED"]
    assert by_item["U+1F4D7"] != by_item["U+1F988"]
    first = corpora.load("picture-names", CODES, n_items=40)
    assert first.items["item"].tolist() == many.items["item"].tolist()[:40]


def test_corpus_of_a_folder_of_annotations_has_the_same_name_and_any_code(annotations):
    found = corpora.load(annotations, "eng_Latn,swh_Latn")
    assert (found.name, found.languages, len(found)) == ("picture-names", ("eng_Latn", "swh_Latn"), 5)
    assert corpora.label(str(annotations)) == "picture-names"
