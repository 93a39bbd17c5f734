"""Comparison of a notebook's committed outputs with fresh ones: numbers by size, words exactly.

nbval compares text for equality. Here a float may differ by `rtol` relative or `atol` absolute,
an integer and every word must be equal, and a Plotly figure is compared by its decoded arrays.
A cell tagged `tol-0.05` allows its floats an absolute difference of 0.05; `tol-int-2` allows its
integers a difference of 2. A verdict is a word, so no tag loosens it. `tests/tolerances.yaml` lists
every tag with its reason.

Not compared: pictures and HTML (each repeats a text or a figure that is), standard error (progress
bars) and widget state. A number with a unit glued to it ("3.1s") counts as a word.

`install()` replaces one method of nbval 0.11, `IPyNbCell.compare_outputs`; nbval is pinned for it.
"""

import base64
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.#])"  # not inside a word, a version or a colour
    r"[-+−]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?"
    r"(?![A-Za-z0-9_])"
)
INTEGER = re.compile(r"[-+−]?\d+\.?")
NOT_COMPARED = re.compile(r"image/.*|text/html|stderr|application/vnd\.jupyter\.widget-view\+json")
# Drawn from the library's theme or made afresh for each figure: not a finding.
FIGURE_STYLE = frozenset({"template", "config", "uid"})


@dataclass(frozen=True)
class Tolerance:
    """How far two numbers may lie apart: |a − b| ≤ max(rtol·max(|a|, |b|), atol); integers by `integer`."""

    rtol: float = 1e-4
    atol: float = 1e-6
    integer: float = 0.0

    def accepts(self, reference: float, fresh: float, *, integers: bool) -> bool:
        """Whether the two numbers agree; NaN agrees with NaN, an infinity with the same infinity."""
        if math.isnan(reference) or math.isnan(fresh):
            return math.isnan(reference) and math.isnan(fresh)
        if integers:
            return abs(reference - fresh) <= self.integer
        return math.isclose(reference, fresh, rel_tol=self.rtol, abs_tol=self.atol)


def tolerance(tags: Iterable[str]) -> Tolerance:
    """Tolerance of a cell, from its tags; raises ValueError on a `tol-…` tag that states no number."""
    found = {}
    for tag in tags:
        if not tag.startswith("tol-"):
            continue
        match = re.fullmatch(r"tol-(int-)?(\d+(?:\.\d+)?(?:e-?\d+)?)", tag)
        if match is None:
            raise ValueError(f"cell tag {tag!r} states no tolerance; expected e.g. tol-0.05 or tol-int-2")
        found["integer" if match[1] else "atol"] = float(match[2])
    return Tolerance(**found)


def differences(
    reference: Sequence[Mapping], fresh: Sequence[Mapping], tags: Iterable[str] = ()
) -> Iterator[str]:
    """Each way in which a cell's fresh outputs differ from the committed ones, in words.

    Parameters
    ----------
    reference, fresh : notebook outputs (nbformat 4 nodes or plain dicts).
    tags : tags of the cell.
    """
    allowed = tolerance(tags)
    old, new = _by_kind(reference), _by_kind(fresh)
    for kind in sorted(old.keys() | new.keys()):
        if len(old[kind]) != len(new[kind]):
            yield f"{kind}: {len(old[kind])} committed, {len(new[kind])} fresh outputs"
            continue
        for number, (a, b) in enumerate(zip(old[kind], new[kind], strict=True)):
            yield from _compare(a, b, allowed, f"{kind}[{number}]")


def install() -> None:
    """Make nbval, where it is installed, compare cells with `differences`."""
    try:
        from nbval.plugin import IPyNbCell
    except ImportError:  # a suite without nbval has no notebook cells to compare
        return

    def compare_outputs(self, test, ref, skip_compare=None):
        found = list(itertools.islice(differences(ref, test, self.cell.metadata.get("tags", ())), 20))
        self.comparison_traceback = found
        return not found

    IPyNbCell.compare_outputs = compare_outputs


def _by_kind(outputs: Sequence[Mapping]) -> dict[str, list]:
    """Contents of the outputs by MIME type or stream name, in order."""
    found = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            contents = {output["name"]: output["text"]}
        elif output["output_type"] == "error":
            contents = {"error": f"{output['ename']}: {output['evalue']}"}
        else:
            contents = output["data"]
        for kind, content in contents.items():
            if not NOT_COMPARED.fullmatch(kind):
                found[kind].append(content)
    return found


def _compare(reference, fresh, allowed: Tolerance, where: str) -> Iterator[str]:
    """Differences between two JSON values; typed arrays of Plotly count as the lists they encode."""
    reference, fresh = _decoded(reference), _decoded(fresh)
    if isinstance(reference, Mapping) and isinstance(fresh, Mapping):
        for key in sorted((reference.keys() | fresh.keys()) - FIGURE_STYLE):
            if key not in reference or key not in fresh:
                yield f"{where}.{key}: only in the {'fresh' if key in fresh else 'committed'} output"
            else:
                yield from _compare(reference[key], fresh[key], allowed, f"{where}.{key}")
    elif isinstance(reference, list) and isinstance(fresh, list):
        if len(reference) != len(fresh):
            yield f"{where}: {len(reference)} committed, {len(fresh)} fresh entries"
            return
        for position, (a, b) in enumerate(zip(reference, fresh, strict=True)):
            yield from _compare(a, b, allowed, f"{where}[{position}]")
    elif _is_number(reference) and _is_number(fresh):
        integers = isinstance(reference, int) and isinstance(fresh, int)
        if not allowed.accepts(reference, fresh, integers=integers):
            yield f"{where}: {reference!r} committed, {fresh!r} fresh"
    elif isinstance(reference, str) and isinstance(fresh, str):
        yield from _compare_text(reference, fresh, allowed, where)
    elif type(reference) is not type(fresh) or reference != fresh:
        yield f"{where}: {reference!r} committed, {fresh!r} fresh"


def _compare_text(reference: str, fresh: str, allowed: Tolerance, where: str) -> Iterator[str]:
    """Differences between two texts; spaces and line breaks only separate words."""
    words, new_words = (NUMBER.sub(" \0 ", text).split() for text in (reference, fresh))
    if words != new_words:
        pairs = enumerate(itertools.zip_longest(words, new_words, fillvalue="(nothing)"))
        at, (a, b) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        before, a, b = (t.replace("\0", "a number") for t in (" ".join(words[max(0, at - 5) : at]), a, b))
        yield f"{where}: after {before!r}: {a!r} committed, {b!r} fresh"
        return
    for a, b in zip(NUMBER.findall(reference), NUMBER.findall(fresh), strict=True):
        integers = bool(INTEGER.fullmatch(a) and INTEGER.fullmatch(b))
        overflow = math.isinf(_value(a)) or math.isinf(_value(b))  # a hash such as 12e456: a word
        if a != b if overflow else not allowed.accepts(_value(a), _value(b), integers=integers):
            yield f"{where}: {a} committed, {b} fresh"


def _decoded(value):
    """A list in place of a typed array `{"dtype", "bdata", "shape"}`; anything else unchanged."""
    if not (isinstance(value, Mapping) and {"dtype", "bdata"} <= value.keys()):
        return list(value) if isinstance(value, tuple) else value
    array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
    if "shape" in value:
        array = array.reshape([int(n) for n in str(value["shape"]).split(",")])
    return array.tolist()


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(number: str) -> float:
    return float(number.replace("−", "-"))
