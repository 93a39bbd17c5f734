"""Picture names: the vetted short names of Unicode's emoji ("green book"), aligned by code point.

Many independent items of a few words each, in many languages. `names` reads them from the `emoji` package,
which has 14 languages, or from a folder of Unicode's CLDR with `annotations/` and `annotationsDerived/` (XML,
one file per language, more than 100 of them; Debian: unicode-cldr-core). Left out are flags, variants of skin
tone and names that hold a digit in a language of the package: countries are names, the tones are one phrase
each, and digits are tokens that languages share.

Names come in families (a man, a woman or a person at the same work; faces of one wording), which are not
independent: every family is one scenario. Source: Unicode CLDR, https://cldr.unicode.org, Unicode licence.
"""

import functools
import hashlib
import importlib.util
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import CorpusError
from . import languages as codes_of
from . import near_duplicates, tables

NAME = "picture-names"
_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}
_JOINERS = {"\u200d", "\ufe0f", "\u2640", "\u2642"}  # zero-width joiner, emoji style, female and male sign
# man, woman, person; boy, girl, child; the old ones: one sign each stands for a family
_PERSONS = {
    **dict.fromkeys("\U0001f468\U0001f469\U0001f9d1", "\U0001f9d1"),
    **dict.fromkeys("\U0001f466\U0001f467\U0001f9d2", "\U0001f9d2"),
    **dict.fromkeys("\U0001f474\U0001f475\U0001f9d3", "\U0001f9d3"),
}
_ANNOTATIONS = ("annotations", "annotationsDerived")
_SAME_AS_PARENT = "↑↑↑"  # CLDR's mark of an inherited name


def languages() -> tuple[str, ...]:
    """Codes of the languages of the `emoji` package, English first."""
    found = {path.stem.partition("_")[2] for path in _data().glob("emoji_*.json")}
    return ("en", *sorted(found))


def is_annotations(folder: Path) -> bool:
    """Whether a folder is the `common` folder of Unicode's CLDR, as far as names of pictures go."""
    return os.path.isdir(folder / _ANNOTATIONS[0])  # pathlib raises for a name that no file system takes


def read(codes: Sequence[str] | None, folder: Path | None = None, limit: int | None = None) -> tables.Table:
    """Names as a table of texts, in the order of `names`: the first `limit` of them, families as groups.

    Families of English names that are near-duplicates are one. Arguments and errors as for `names`.
    """
    found = names(codes, folder=folder)
    group = _groups()
    kept = list(found)[:limit]
    texts = {code: [found[key][code] for key in kept] for code in next(iter(found.values()))}
    return tables.Table(texts, {"item": kept, "group": [group[key] for key in kept]}, tuple(group.values()))


@functools.cache
def _groups() -> Mapping[str, str]:
    """Label of every picture -> that of its group: the family, and those of near-duplicate names."""
    family, english = families(), _names_of("en")
    labels = list(family)
    first = {label: i for i, label in reversed(list(enumerate(labels)))}
    of_family = [first[one] for one in family.values()]
    alike, _ = near_duplicates.search([english[sequence] for sequence in _pictures()])
    rows = np.tile(np.arange(len(labels)), 2)
    starts = near_duplicates.component_starts(rows, np.r_[of_family, alike], len(labels))
    return {label: labels[start] for label, start in zip(labels, starts, strict=True)}


def folders(folder: Path) -> list[Path]:
    """The folders of CLDR's `common` that hold names."""
    return [one for part in _ANNOTATIONS if (one := folder / part).is_dir()]


def names(codes: Sequence[str] | None = None, *, folder: Path | None = None) -> dict[str, dict[str, str]]:
    """Code point(s), such as "U+1F4D7", -> language -> name, of the pictures named in all of the languages.

    Pictures stand in an order that mixes subjects, whatever languages are asked for: that of a hash of their
    family, whose members stand together.

    Parameters
    ----------
    codes : languages, by any code (`languages.find`); None: all of the `emoji` package.
    folder : CLDR's `common`; None: the `emoji` package.

    Raises
    ------
    CorpusError : a language that the source lacks, or a source that cannot be read.
    """
    codes = tuple(codes or languages())
    read = _packaged(codes) if folder is None else {code: _annotated(Path(folder), code) for code in codes}
    found = {}
    for sequence, family in _pictures().items():
        named = {code: read[code].get(sequence) for code in codes}
        if all(named.values()):
            found[sequence] = (family, named)
    if not found:
        raise CorpusError(f"no picture has a name in all of {', '.join(codes)}; ask for fewer languages.")
    return {_label(sequence): named for sequence, (_, named) in found.items()}


def families() -> dict[str, str]:
    """Code point(s) -> label of the family, for every picture there is, in the order of `names`."""
    return {_label(sequence): _label(family) for sequence, family in _pictures().items()}


@functools.cache
def _pictures() -> Mapping[str, str]:
    """Sequence of every picture that is used -> that of its family, in the order of `names`."""
    with_digit = {
        key for code in languages() for key, name in _names_of(code).items() if re.search(r"\d", name)
    }
    sequences = [
        s for s in _names_of("en") if s not in with_digit and not _is_flag(s) and not _TONES & set(s)
    ]
    heads: dict[str, str] = {}
    family = {s: heads.setdefault(_without_person(s), s) for s in sequences}
    order = {head: hashlib.sha256(head.encode()).hexdigest() for head in heads.values()}
    return {s: family[s] for s in sorted(sequences, key=lambda s: (order[family[s]], s))}


def _without_person(sequence: str) -> str:
    """What members of a family share: the sequence without gender and style, one person for all."""
    return "".join(_PERSONS.get(sign, sign) for sign in sequence if sign not in _JOINERS)


def _is_flag(sequence: str) -> bool:
    """Whether a sequence is the flag of a country or region; other flags (of a race, of pirates) are not."""
    return "\U0001f1e6" <= sequence[0] <= "\U0001f1ff" or any(
        "\U000e0020" <= s <= "\U000e007f" for s in sequence
    )


def _label(sequence: str) -> str:
    return "U+" + "-".join(f"{ord(sign):X}" for sign in sequence if sign != "\ufe0f")


def _data() -> Path:
    spec = importlib.util.find_spec("emoji")
    if spec is None or spec.origin is None:
        raise CorpusError(f"{NAME} are those of the Python package emoji: `pip install emoji`.")
    return Path(spec.origin).parent / "unicode_codes"


def _packaged(codes: Sequence[str]) -> dict[str, Mapping[str, str]]:
    known = languages()
    meant = {code: codes_of.find(code, known) for code in codes}
    if missing := [code for code, there in meant.items() if there is None]:
        raise CorpusError(
            f"{NAME} have no language {missing[0]!r}; the emoji package has {', '.join(known)}. For others "
            "give CLDR's folder `common` as the corpus (Debian: package unicode-cldr-core)."
        )
    return {code: _names_of(there) for code, there in meant.items()}


@functools.cache
def _names_of(code: str) -> Mapping[str, str]:
    """Sequence -> name in one language of the package, of the sequences that are an emoji as they stand."""
    import emoji

    if code != "en":
        emoji.config.load_language(code)
    whole = emoji.STATUS["fully_qualified"]
    return {
        sequence: entry[code].strip(":").replace("_", " ")
        for sequence, entry in emoji.EMOJI_DATA.items()
        if entry["status"] == whole and code in entry
    }


def _annotated(folder: Path, code: str) -> dict[str, str]:
    """Sequence -> name in one language of a CLDR folder; emoji style is not written there."""
    there = sorted(one.stem for one in (folder / _ANNOTATIONS[0]).glob("*.xml"))
    meant = codes_of.find(code, there)
    if meant is None:
        raise CorpusError(
            f"{folder / _ANNOTATIONS[0]} has no names in {code!r}; it has {', '.join(there) or 'none'}."
        )
    found = {}
    for path in (folder / part / f"{meant}.xml" for part in _ANNOTATIONS):
        if not path.is_file():  # few languages lack derived names
            continue
        try:
            entries = ElementTree.parse(path).getroot().iter("annotation")
            spoken = {e.get("cp", ""): e.text or "" for e in entries if e.get("type") == "tts"}
        except (OSError, ElementTree.ParseError, ValueError) as error:
            raise CorpusError(f"{path} is not a file of CLDR annotations: {error}") from error
        found |= {
            key: text.strip() for key, text in spoken.items() if text.strip() not in ("", _SAME_AS_PARENT)
        }
    return {s: found[bare] for s in _pictures() if (bare := s.replace("\ufe0f", "")) in found}
