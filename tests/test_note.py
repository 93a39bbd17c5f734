"""NOTE.md: every claim is named once, under the item whose notebook settles it, and every link holds."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTE = (ROOT / "NOTE.md").read_text(encoding="utf-8")
NOTEBOOKS = {
    c: entry["notebook"]
    for c, entry in yaml.safe_load((ROOT / "params" / "claims.yaml").read_text(encoding="utf-8")).items()
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ITEM = re.compile(r"(theorem|corollary|conjecture|prediction)_(\d)_")
CLAIM = re.compile(rf"\b(?:{'|'.join(sorted({c.split('_')[0] for c in NOTEBOOKS}))})_\w+")


def sections(text):
    """Heading and body of every section."""
    return [part.partition("\n")[::2] for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]]


def linked(body):
    """Notebooks that a section links, by name."""
    return {Path(target).stem for target in LINK.findall(body) if target.startswith("notebooks/")}


def misplaced(text):
    """Claims that are not named once, in a section that links their notebook, and names that no claim has."""
    named = [(claim, body) for _, body in sections(text) for claim in set(CLAIM.findall(LINK.sub("", body)))]
    unknown = {claim for claim, _ in named if claim not in NOTEBOOKS}
    places = {claim: [linked(body) for other, body in named if other == claim] for claim in NOTEBOOKS}
    return unknown | {c for c, found in places.items() if len(found) != 1 or NOTEBOOKS[c] not in found[0]}


def test_note_names_every_claim_in_the_section_of_its_notebook():
    assert misplaced(NOTE) == set()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("`sweep_one_hot`", "", {"sweep_one_hot"}),
        ("`sweep_one_hot`", "`sweep_hot`", {"sweep_one_hot", "sweep_hot"}),
        ("`conjecture_5_pace`", "`conjecture_6_garch`", {"conjecture_5_pace", "conjecture_6_garch"}),
        ("notebooks/prediction_2_", "notebooks/other_", {"prediction_2_update_agnosticism"}),
    ],
    ids=["absent", "misspelt", "under another item", "another notebook"],
)
def test_misplaced_claims_are_found(old, new, found):
    assert old in NOTE
    assert misplaced(NOTE.replace(old, new)) == found


def test_note_links_lead_to_files():
    paths = {target.partition("#")[0] for target in LINK.findall(NOTE)} - {""}
    assert {p for p in paths if not (ROOT / p).is_file()} == set()
    assert {f"notebooks/{name}.ipynb" for name in NOTEBOOKS.values()} <= paths


def test_note_items_keep_the_numbers_of_their_notebooks():
    expected = {}
    for name in set(NOTEBOOKS.values()):
        if m := ITEM.match(name):
            expected.setdefault(f"{m[1].capitalize()} {m[2]}", set()).add(name)
    found = {title.partition(".")[0]: linked(body) for title, body in sections(NOTE)}
    assert len(expected) >= 14
    assert {item: found.get(item) for item in expected} == expected


def test_note_is_plain_markdown_that_github_renders():
    """Markdown eats the backslash of an escaped bar or brace before the formula is read."""
    assert max(len(line) for line in NOTE.splitlines()) <= 110
    assert [line for line in NOTE.splitlines() if line.count("$") % 2] == []
    assert re.findall(r"\\[|{}_,;]", NOTE) == []


def test_readme_links_the_note_once():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert LINK.findall(readme).count("NOTE.md") == 1
