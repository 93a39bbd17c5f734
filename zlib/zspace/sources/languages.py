"""Codes of languages, and what is known of languages beforehand: script, family, share of text, distances.

Corpora write the code of one language in several ways: `zh`, `zho`, `zh-CN`, `zho_Hans`. A code here is ISO
639 with an optional script (ISO 15924) and region (ISO 3166), joined by `-` or `_`, in either case. Two
codes mean the same language where language, script and region agree as far as both have them;
`params/language_codes.csv` says which ISO codes are one language and in which script it is mostly written.
A corpus keeps the code that its user asked for.

What is known stands with its sources in `params/languages.yaml` and `params/typology.csv`. How much of a
language a model was trained on is not published for most models; what can be had are proxies, the sizes of
crawls.
"""

import functools
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import files
from ..errors import CorpusError, ParameterError

# of a language's share of training text: billions of tokens in mC4, pages in a Common Crawl
PROXIES = ("mc4_tokens", "web_pages")
_CODE = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|[0-9]{3}))?", re.IGNORECASE)


def parse(languages: str | Iterable[str]) -> tuple[str, ...]:
    """Codes of a text such as "en, zh" (commas or spaces between them), or of a sequence of codes.

    Raises CorpusError where there is none, where one occurs twice, or where one is no text.
    """
    given = [languages] if isinstance(languages, str) else list(languages)
    for code in given:
        if not isinstance(code, str):
            trap = ' YAML reads a bare no as false: write it in quotes, "no".' if code is False else ""
            raise CorpusError(
                f"languages={languages!r}: {code!r} is no language code; expected a text.{trap}"
            )
    codes = tuple(code for text in given for code in text.replace(",", " ").split())
    if not codes or len(set(codes)) < len(codes):
        raise CorpusError(f"languages={languages!r}; expected one or more different language codes")
    return codes


def is_code(name: str) -> bool:
    """Whether a name is a language's code: one of `params/language_codes.csv`, or one with a script."""
    found = _CODE.fullmatch(name)
    return bool(found) and (bool(found[2]) or found[1].lower() in _codes())


def find(code: str, names: Iterable[str]) -> str | None:
    """The one of some names that means the language of a code; None where there is none.

    The same code, in whatever case and with `-` or `_`, goes before another code of the language.

    Raises
    ------
    CorpusError : several names mean it.
    """
    names = list(names)
    if code in names:
        return code
    asked = _split(code)
    alike = [name for name in names if _folded(name) == _folded(code)]
    alike = alike or [name for name in names if asked and asked == _split(name)]
    alike = alike or [name for name in names if asked and _agree(asked, _split(name))]
    if len(alike) > 1:
        raise CorpusError(f"language {code!r} may be {' or '.join(alike)}; ask for one of these")
    return alike[0] if alike and not _is_in_another_script(asked, _split(alike[0])) else None


def is_same(one: str, other: str) -> bool:
    """Whether two codes are of one language, whatever their script and region."""
    a, b = _split(one), _split(other)
    return a.language == b.language if a and b else _folded(one) == _folded(other)


def two_of_one(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names of one language, script and region, such as "en" and "eng"; None where there are none."""
    seen: dict[object, str] = {}
    for name in names:
        key = _split(name) or _folded(name)
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def anchor(codes: Sequence[str]) -> str:
    """The language that others are compared with: English where it is there, else the first one."""
    return next((code for code in codes if is_same(code, "en")), codes[0])


def script(code: str) -> str:
    """ISO 15924 code of the script of a language; "" where it is not known."""
    found = _split(code)
    return (found.script or _main_script(found.language)) if found else ""


def table(codes: Sequence[str]) -> pd.DataFrame:
    """What is known of some languages: one row per code, in that order, by the codes as given.

    Columns: name, script, family, and for every proxy its decimal logarithm ("log_mc4_tokens",
    "log_web_pages").

    Raises
    ------
    ParameterError : a language that params/languages.yaml lacks, or has in another script only, or without
        a positive number for a proxy.
    """
    rows = {}
    for code in codes:
        entry = _facts(code)
        rows[code] = {name: entry[name] for name in ("name", "script", "family")}
        for proxy in PROXIES:
            size = entry.get(proxy)
            if not isinstance(size, int | float) or not size > 0:
                raise ParameterError(
                    f"{proxy} of {code} is {size!r} in params/languages.yaml; expected a positive number."
                )
            rows[code][f"log_{proxy}"] = math.log10(size)
    return pd.DataFrame.from_dict(rows, orient="index")


def known(code: str) -> dict[str, object]:
    """What is known of one language, none of it where params/languages.yaml lacks it: no error.

    Keys: branch, the whole name of the family ("Indo-European (Slavic)"); family, that before the bracket;
    and for every proxy that is known its decimal logarithm ("log_mc4_tokens", "log_web_pages").
    """
    try:
        entry = _facts(code)
    except ParameterError:
        return {}
    sizes = {f"log_{proxy}": math.log10(entry[proxy]) for proxy in PROXIES if entry.get(proxy)}
    return {"family": entry["family"].split(" (")[0], "branch": entry["family"], **sizes}


def distances(codes: Sequence[str]) -> np.ndarray:
    """(K, K) typological distances between languages, in [0, 1], whatever script they are written in.

    Raises ParameterError for a language that params/typology.csv lacks.
    """
    known = pd.read_csv(files.PROJECT / "params" / "typology.csv", comment="#", index_col="language")
    rows = [next((name for name in known.index if is_same(name, code)), None) for code in codes]
    if missing := [code for code, row in zip(codes, rows, strict=True) if row is None]:
        raise ParameterError(
            f"no typological distance of {', '.join(missing)}; params/typology.csv has "
            f"{', '.join(known.index)}."
        )
    return known.loc[rows, rows].to_numpy(float)


class _Subtags(NamedTuple):
    language: str  # as params/language_codes.csv has it
    script: str  # as written, or as the region has it; "" if neither says
    region: str


def _split(code: str) -> _Subtags | None:
    found = _CODE.fullmatch(code)
    if not found:
        return None
    language, region = _codes().get(found[1].lower(), found[1].lower()), (found[3] or "").upper()
    return _Subtags(language, (found[2] or "").title() or _regional_script(language, region), region)


def _agree(asked: _Subtags, there: _Subtags | None) -> bool:
    if there is None or asked.language != there.language:
        return False
    script = there.script or (asked.script and _main_script(there.language))
    return all(not a or not b or a == b for a, b in ((asked.script, script), (asked.region, there.region)))


def _is_in_another_script(asked: _Subtags | None, there: _Subtags | None) -> bool:
    """Whether a language asked for without a script is there in one that is not its main one."""
    if asked is None or there is None or asked.script:
        return False
    main = _main_script(there.language)
    return bool(main and there.script) and there.script != main


def _facts(code: str) -> dict:
    known = files.params("languages")
    if wrong := [key for key in known if not isinstance(key, str)]:
        raise ParameterError(
            f"params/languages.yaml has the code {wrong[0]!r}; YAML reads a bare no as false: write "
            'it in quotes, "no".'
        )
    name = code if code in known else next((name for name in known if is_same(name, code)), None)
    if name is None:
        raise ParameterError(
            f"nothing is known of language {code!r}; params/languages.yaml has {', '.join(known)}. Add "
            "it there, with its sources."
        )
    if name != code and (written := _split(code).script) not in ("", known[name]["script"]):
        raise ParameterError(
            f"nothing is known of language {code!r}; params/languages.yaml has {name} in the script "
            f"{known[name]['script']}, not in {written}."
        )
    return known[name]


def _folded(code: str) -> str:
    return code.lower().replace("_", "-")


@functools.cache
def _language_codes() -> pd.DataFrame:
    path = files.PROJECT / "params" / "language_codes.csv"
    return pd.read_csv(path, comment="#", keep_default_na=False, index_col="code")


@functools.cache
def _codes() -> dict[str, str]:
    """Every code of a language -> the one that stands for it."""
    known = _language_codes()["aliases"]
    return {alias: code for code, aliases in known.items() for alias in (code, *aliases.split())}


@functools.cache
def _main_script(language: str) -> str:
    known = _language_codes()["script"]
    return known.get(language, "")


@functools.cache
def _regional_script(language: str, region: str) -> str:
    known = _language_codes()["regions"]
    others = dict(pair.split("=") for pair in known.get(language, "").split())
    return others.get(region, _main_script(language)) if region else ""
