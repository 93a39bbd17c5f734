"""From evidence to verdict to ledger, by the rules of `params/claims.yaml` (grammar: `rules`).

`evaluate` judges one language, `evaluate_scope` all languages together, `operating_characteristic`
measures how often a rule errs, `record` and `read_ledger` keep the result. Each claim has two
readings: as the source note states it, and as corrected.

Verdicts: those of `rules.VERDICTS`.
"""

import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, NoneType

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from ..errors import ClaimError
from ..files import atomic_write, lock, params, runs_root
from ..measures.resampling import holm
from . import executions, statistics
from .rules import (
    INCONCLUSIVE,
    MIXED,
    NOT_TESTABLE,
    OVERALL,
    PREMISE_REFUTED,
    REFUTED,
    SUPPORTED,
    Evidence,
    bound_of,
    condition_kind,
    control_verdict,
    judge,
    passed,
    rule_pvalue,
    validate,
)

READINGS = ("as_stated", "as_corrected")
# fields of a row, or of a control, that are numbers
NUMBERS = (
    "estimate", "low", "high", "minimal_effect", "pvalue", "p_holm", "n_items", "n_scenarios", "n",
    "range_low", "range_high",
)  # fmt: skip
LEDGER_COLUMNS = (
    "claim", "model", "corpus", "language", "as_stated", "as_corrected", "estimate", "low", "high",
    "statistic_kind", "pvalue", "statistic", "shown", "minimal_effect", "p_holm", "null_supported", "power",
    "as_stated_reason", "as_corrected_reason", "n_items", "seed",
)  # fmt: skip
_DIGITS = 4  # significant digits kept in committed files
SUPERSEDED = "superseded"  # folder, in the ledger, of records that do not hold any more


@dataclass(frozen=True)
class Verdict:
    """Verdicts on one claim in one language, with the numbers of the primary statistic.

    `statistic` names it and `statistic_kind` says what it is; the fields up to `range_of` are those of
    `statistics.numbers`, None where they do not belong to that kind. `rule_pvalue` is the probability, under
    its null hypotheses, of what supports the corrected rule, before Holm; `p_holm` after it (set by
    `evaluate_scope`). `controls` lists name, kind, the numbers of one statistic, verdict and whether the
    control passed.
    """

    claim: str
    language: str
    as_stated: str
    as_corrected: str
    as_stated_reason: str = ""
    as_corrected_reason: str = ""
    statistic: str | None = None
    statistic_kind: str | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    low_over: str | None = None
    high_over: str | None = None
    pvalue: float | None = None
    n: int | None = None
    range_low: int | None = None
    range_high: int | None = None
    range_of: str | None = None
    minimal_effect: float | None = None
    rule_pvalue: float | None = None
    p_holm: float | None = None
    n_items: int | None = None
    n_scenarios: int | None = None
    controls: tuple[dict, ...] = ()


@dataclass(frozen=True)
class OperatingCharacteristic:
    """How the corrected rule judges worlds whose answer is known (rates over `n_simulations` each).

    `null_supported`: supported in world "null", whose effect is the largest that must not be (on the bound,
    or none); `null_supported_high` is the upper 95 % Clopper-Pearson limit of that rate. `power`: supported
    in world "true" (mostly twice the bound); `power_modest`: the same in world "modest", of a smaller effect.
    `false_refuted`: refuted in world "false". `rates` holds the whole table, world -> verdict -> rate, and
    `effects` says in words how large the true effect is in each world.
    """

    null_supported: float
    null_supported_high: float
    null_refuted: float
    power: float
    power_modest: float
    false_refuted: float
    n_simulations: int
    rates: Mapping[str, Mapping[str, float]]
    effects: Mapping[str, str] = field(default_factory=dict)


def rule(claim_id: str) -> dict:
    """The entry of `params/claims.yaml`; raises ClaimError where it is unknown or the file is malformed."""
    known = entries()
    if claim_id not in known:
        raise ClaimError(f"unknown claim {claim_id!r}; params/claims.yaml has {', '.join(sorted(known))}.")
    return known[claim_id]


@functools.cache
def entries() -> dict[str, dict]:
    """All entries of `params/claims.yaml`, in its order, checked and read once."""
    found = params("claims")
    for claim_id, entry in found.items():
        validate(claim_id, entry)
    return found


def evaluate(claim_id: str, evidence: Evidence) -> Verdict:
    """Verdict on one claim from the evidence of one language.

    Raises ClaimError where the evidence lacks a statistic or a check that the rule needs, or has a statistic
    of another kind than the rule judges.
    """
    entry, said = rule(claim_id), {}
    for reading in READINGS:
        said[reading], reason = judge(claim_id, entry["rules"], reading, evidence)
        said[f"{reading}_reason"] = f"{reason}. {evidence.remark}" if evidence.remark else reason
    primary, bound = _primary(entry)
    statistic = evidence.statistics.get(primary)
    # a number without its limits (a share of a fall that may not be one) is no estimate
    known = statistic is not None and statistics.is_defined(statistic)
    numbers = {"statistic": primary, **statistics.numbers(statistic)} if known else {}
    return Verdict(
        claim=claim_id,
        language=evidence.language,
        **said,
        **numbers,
        minimal_effect=bound,
        rule_pvalue=rule_pvalue(entry["rules"]["as_corrected"], evidence),
        n_items=evidence.n_items,
        n_scenarios=evidence.n_scenarios,
        controls=_control_rows(entry, primary, evidence),
    )


def evaluate_scope(claim_id: str, evidence: Sequence[Evidence]) -> list[Verdict]:
    """Verdicts of every language, Holm-adjusted, preceded by one for all of them (language "*").

    A language that supports the corrected claim on its own but does not survive Holm is `inconclusive`; a
    rule without a p-value (of counts alone) is not adjusted. "In general" (the overall verdict) needs two
    thirds of all languages, so that a failed control never strengthens it; where fewer are testable it is
    `not testable`. Where two thirds are decided, not all in one way, it is `mixed`.
    """
    verdicts = [evaluate(claim_id, e) for e in evidence]
    if [v.language for v in verdicts] == [OVERALL]:
        return verdicts
    found = {i: v.rule_pvalue for i, v in enumerate(verdicts) if v.rule_pvalue is not None}
    for i, p in zip(found, holm([*found.values()]), strict=True):
        verdicts[i] = _after_holm(verdicts[i], float(p))
    said = {}
    for reading in READINGS:
        said[reading], said[f"{reading}_reason"] = _overall(verdicts, reading)
    sizes = {
        k: max((getattr(v, k) or 0 for v in verdicts), default=0) or None for k in ("n_items", "n_scenarios")
    }
    head = Verdict(claim_id, OVERALL, **said, minimal_effect=_primary(rule(claim_id))[1], **sizes)
    return [head, *verdicts]


def operating_characteristic(
    claim_id: str,
    simulate: Callable[[str, np.random.Generator], Evidence],
    *,
    rng: np.random.Generator,
    n_simulations: int = 200,
) -> OperatingCharacteristic:
    """Error rates of the corrected rule on simulated worlds with known answers.

    `simulate(world, rng)` makes the evidence of one world, "true", "false", "null" or "modest" (see
    `error_rates`). Controls are part of the evidence.
    """
    rates = {}
    for world, stream in zip(("true", "false", "null", "modest"), rng.spawn(4), strict=True):
        found = [evaluate(claim_id, simulate(world, r)).as_corrected for r in stream.spawn(n_simulations)]
        rates[world] = {v: found.count(v) / n_simulations for v in sorted(set(found))}
    wrong = rates["null"].get(SUPPORTED, 0.0)
    _, high = proportion_confint(round(wrong * n_simulations), n_simulations, 0.05, "beta")
    return OperatingCharacteristic(
        null_supported=wrong,
        null_supported_high=float(high),
        null_refuted=rates["null"].get(REFUTED, 0.0),
        power=rates["true"].get(SUPPORTED, 0.0),
        power_modest=rates["modest"].get(SUPPORTED, 0.0),
        false_refuted=rates["false"].get(REFUTED, 0.0),
        n_simulations=n_simulations,
        rates=rates,
    )


def record(
    claim_id: str,
    verdicts: Sequence[Verdict],
    *,
    model: str,
    corpus: str,
    provenance: Mapping,
    operating: OperatingCharacteristic | None = None,
    scope: Mapping | None = None,
    parameters: Mapping = MappingProxyType({}),
    read: Mapping = MappingProxyType({}),
) -> Path:
    """Write the verdicts of one claim on one model and corpus to the ledger; returns the file.

    The file holds the statement, the rule and every control beside the verdicts, so that a page can be made
    from the ledger alone.

    parameters : those of the notebook that decide these verdicts, with model and corpus by absolute path.
    read : what identifies the content of model and corpus.

    The file's name ends in two hashes: of claim and parameters, the execution, and of what it read. A record
    of the same execution and content is replaced. One of the same execution that read other content does not
    hold any more: it goes into the folder `superseded`, which nothing reads. So does a record that says that
    a model's weights are unavailable, once it is measured. Any other record is left as it is.
    """
    entry = rule(claim_id)
    rates = None if operating is None else asdict(operating)
    content = {
        "claim": claim_id,
        **{k: entry[k] for k in ("title", "notebook", "kind")},
        "model": model,
        "corpus": corpus,
        "execution": {"parameters": dict(parameters), "read": dict(read)},
        "scope": {"text": entry["scope"], **(scope or {})},
        "provenance": dict(provenance),
        "statement": entry["statement"],
        "rule": {k: entry[k] for k in ("null_hypothesis", "multiplicity", "rules")},
        "rows": [{**asdict(v), "operating": rates} for v in verdicts],
    }
    content = _plain(content)
    path = _record_file(content)
    # two runs of one execution would each move the other's record away
    with lock(path.parent):
        with atomic_write(path) as stream:
            json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
            stream.write("\n")
        for other in _superseded_by(content, path):
            gone = path.parent / SUPERSEDED / other.name
            gone.parent.mkdir(exist_ok=True)
            other.replace(gone)
    return path


def is_measured(
    claim_id: str, *, model: str, corpus: str, parameters: Mapping = MappingProxyType({})
) -> bool:
    """Whether a ledger's record of that claim, model and corpus rests on items, estimate or not.

    Of two corpora of one name the one that the parameter `corpus` names counts.
    """
    about = {"model": model, "corpus": corpus, "execution": {"parameters": dict(parameters)}}
    found = (one for _, one in _records_of(claim_id) if _is_of_the_same(one, about))
    return any(map(_has_numbers, found))


def _record_file(content: Mapping) -> Path:
    names = [content[k] for k in ("claim", "model", "corpus")]
    about = content["execution"]
    # a corpus without a parameter, such as recordings, is known by its label
    execution = dict(zip(("claim", "model", "corpus"), names, strict=True)) | about["parameters"]
    return runs_root() / "ledger" / f"{executions.file_name(names, execution, about['read'])}.json"


def _superseded_by(content: Mapping, path: Path) -> list[Path]:
    """Records that do not hold beside a new one, which lies at `path`."""
    gone = []
    for other, one in _records_of(content["claim"]):
        alike = _is_of_the_same(one, content)
        replaced = _execution(other) == _execution(path)
        filled = alike and _has_numbers(content) and _is_unavailable(one)
        unknown = alike and "execution" not in one  # an older zspace kept one record of model and corpus
        if other != path and (replaced or filled or unknown):
            gone.append(other)
    return gone


def _execution(path: Path) -> list[str]:
    """The hash of claim and parameters in a record's name; none in names that an older zspace gave."""
    return path.stem.split("--")[-2:-1] if "--" in path.stem else []


def _records_of(claim_id: str) -> list[tuple[Path, dict]]:
    """Files and contents of all records of a claim that can be read; the page names those that cannot."""
    found = []
    for path in sorted((runs_root() / "ledger").glob(f"{claim_id}--*.json")):
        with contextlib.suppress(ClaimError):
            found += [(path, one) for one in read_records(path) if one["claim"] == claim_id]
    return found


def _is_of_the_same(one: Mapping, other: Mapping) -> bool:
    """Whether two records are of one model and corpus, as far as both say where the corpus lies."""
    if (one["model"], one["corpus"]) != (other["model"], other["corpus"]):
        return False
    places = {r.get("execution", {}).get("parameters", {}).get("corpus") for r in (one, other)}
    return len(places - {None}) < 2


def _has_numbers(content: Mapping) -> bool:
    return any(row.get(name) is not None for row in content["rows"] for name in ("estimate", "n_items"))


def _is_unavailable(content: Mapping) -> bool:
    reasons = [row.get("as_corrected_reason") or "" for row in content["rows"]]
    return not _has_numbers(content) and all(r.startswith("weights unavailable") for r in reasons)


def read_records(path: Path | str) -> list[dict]:
    """Ledger records of a folder of files, or of one file (a record, or a snapshot: a list of them).

    Raises ClaimError, naming the file, where there is no ledger or a file holds something else.
    """
    path = Path(path)
    found = record_files(path)
    return [one for file in found for one in _records_in(file)]


def record_files(path: Path | str) -> list[Path]:
    """Files of a ledger, which is a folder of them or one file; raises ClaimError where there is none."""
    path = Path(path)
    found = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found or not path.exists():
        raise ClaimError(f"no ledger at {path}; run `zspace report` first, or name a ledger file.")
    return found


def _records_in(file: Path) -> list[dict]:
    wrong = f"{file} is not a ledger record"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (OSError, ValueError, RecursionError) as error:
        raise ClaimError(f"{wrong} ({error}); delete it and run again.") from error
    records = content if isinstance(content, list) else [content]
    for one in records:
        if not isinstance(one, dict):
            raise ClaimError(f"{wrong}: it holds {type(one).__name__}; delete it and run again.")
        absent = [name for name in ("claim", "model", "corpus") if not isinstance(one.get(name), str)]
        rows = one.get("rows")
        has_rows = isinstance(rows, list) and all(isinstance(row, dict) and "language" in row for row in rows)
        if absent or not has_rows:
            lacks = ", ".join([*absent, *([] if has_rows else ["rows"])])
            raise ClaimError(f"{wrong}: it lacks {lacks}; delete it and run again.")
        for place, value, kind in _typed(one):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ClaimError(f"{wrong}: {place} is {str(value)[:60]!r}; delete it and run again.")
    return records


def _typed(record: Mapping) -> Iterator[tuple[str, object, type | tuple[type, ...]]]:
    """Place, value and type of what `read_ledger` reads of a record, beyond its names."""
    execution = record.get("execution", {})
    yield "execution", execution, dict
    yield "execution.parameters", execution.get("parameters", {}), dict
    for i, row in enumerate(record["rows"]):
        yield f"rows[{i}].language", row["language"], str
        yield f"rows[{i}].operating", row.get("operating") or {}, dict
        yield from ((f"rows[{i}].{k}", row.get(k), (int, float, NoneType)) for k in NUMBERS)


def read_ledger(path: Path | str | None = None) -> pd.DataFrame:
    """One row per claim, model, corpus and language; `path` defaults to the ledger of this runs root.

    First come claim, model, corpus, language, as_stated, as_corrected, estimate, low, high (the primary
    statistic and the 95 % limits of an interval, else NaN), statistic_kind, pvalue (of a test), statistic
    (its name) and shown (all of it in words); last n_items and seed. Where a ledger has several records of a
    claim under one name, `corpus` says in what they differ (`executions.told_apart`), so that claim, model,
    corpus and language name a row. Raises ClaimError where there is no ledger.
    """
    return table_of(read_records(runs_root() / "ledger" if path is None else path))


def table_of(records: Sequence[Mapping]) -> pd.DataFrame:
    """The table of `read_ledger` from records, of several ledgers if need be."""
    rows = []
    for one, (_, corpus) in zip(records, executions.told_apart(records), strict=True):
        seed = one.get("execution", {}).get("parameters", {}).get("seed")
        for row in one["rows"]:
            rates = row.get("operating") or {}
            rates = {k: rates.get(k) for k in ("null_supported", "power")}
            more = {"corpus": corpus, "seed": seed, "shown": statistics.words(row)}
            rows.append({**one, **row, **rates, **more})
    table = pd.DataFrame(rows, columns=list(LEDGER_COLUMNS))
    return table.astype(dict.fromkeys(("estimate", "low", "high", "pvalue"), float))


def rounded(value: object) -> object:
    """JSON content with its fractions to the significant digits that a committed file keeps."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _control_rows(entry: dict, primary: str | None, evidence: Evidence) -> tuple[dict, ...]:
    """What the ledger keeps of each control: its verdicts by both rules, and its primary statistic."""
    rows = []
    for control in evidence.controls:
        by_reading = {r: control_verdict(entry["rules"][r], control) for r in READINGS}
        if not (spoken := {r: v for r, v in by_reading.items() if v is not None}):
            continue
        name = primary if primary in control.statistics else next(iter(control.statistics))
        row = {
            "name": control.name,
            "kind": control.kind,
            "statistic": name,
            **statistics.numbers(control.statistics[name]),
            "verdict": spoken.get("as_corrected", spoken.get("as_stated")),
            "verdict_as_stated": spoken.get("as_stated"),
            "passed": all(passed(control, v) for v in spoken.values()),
        }
        rows.append(row)
    return tuple(rows)


def _after_holm(verdict: Verdict, p_holm: float) -> Verdict:
    adjusted = replace(verdict, p_holm=p_holm)
    if verdict.as_corrected != SUPPORTED or p_holm < 0.05:
        return adjusted
    reason = f"does not survive Holm over the languages (p = {p_holm:.3f}): {verdict.as_corrected_reason}"
    return replace(adjusted, as_corrected=INCONCLUSIVE, as_corrected_reason=reason)


def _primary(entry: dict) -> tuple[str | None, float | None]:
    """Name of the primary statistic, and its minimal effect where it is an interval."""
    if (name := entry.get("primary")) is None:
        return None, None
    condition = entry["rules"]["as_corrected"][name]
    is_interval = condition_kind(name, condition) == statistics.INTERVAL
    return name, bound_of(condition)[1] if is_interval else None


def _overall(verdicts: Sequence[Verdict], reading: str) -> tuple[str, str]:
    """In general: two thirds of all languages agree, or are decided in different ways (`mixed`).

    Supported ones have survived Holm by now.
    """
    n = len(verdicts)
    testable = [v for v in verdicts if getattr(v, reading) != NOT_TESTABLE]
    if 3 * len(testable) < 2 * n:
        first, *others = {getattr(v, f"{reading}_reason") for v in verdicts}
        return NOT_TESTABLE, f"testable in {len(testable)} of {n} languages only" if others else first
    by_verdict = {
        w: [v.language for v in testable if getattr(v, reading) == w]
        for w in (SUPPORTED, REFUTED, PREMISE_REFUTED)
    }
    holds, fails, void = by_verdict.values()
    counts = f"supported in {len(holds)} of {n} ({', '.join(holds) or 'none'}), "
    counts += f"refuted in {len(fails)} ({', '.join(fails) or 'none'})"
    counts += f", premise refuted in {len(void)} ({', '.join(void)})" if void else ""
    for verdict, languages in by_verdict.items():
        if 3 * len(languages) >= 2 * n:
            return verdict, f"in general: {counts}"
    if holds and 3 * (len(holds) + len(fails) + len(void)) >= 2 * n:
        return MIXED, f"it depends on the language: {counts}"
    return INCONCLUSIVE, f"{'in some languages' if holds else 'in no language'}: {counts}"


def _plain(value: object) -> object:
    """JSON-ready copy: NumPy scalars unwrapped, non-finite numbers as null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
