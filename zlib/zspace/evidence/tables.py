"""What a notebook shows beside its figures: statements, rules, error rates, controls, verdicts.

Statements, rules and bounds are those of `params/claims.yaml`; no notebook repeats them.
"""

import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .claims import OVERALL, READINGS, OperatingCharacteristic, Verdict, rule
from .rules import DECIDED, REFUTED, SUPPORTED, bound_of, condition_kind
from .statistics import INTERVAL, TEST

_READING = {"as_stated": "As stated", "as_corrected": "As corrected"}
_FIELDS = {"null_hypothesis": "Null hypothesis", "multiplicity": "Multiplicity", "scope": "Scope"}
# columns of a statistic, as the fields of a verdict or control, in the order shown
_SHOWN = {
    "estimate": "estimate", "low": "low", "high": "high", "low_over": "lower limit against",
    "high_over": "upper limit against", "pvalue": "p", "n": "n", "range_low": "least", "range_high": "most",
    "range_of": "range over",
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """Claims in words: Markdown with formulas where it can be shown, else plain text."""

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        plain = re.sub(r"\*\*|^> ?", "", self.markdown, flags=re.MULTILINE)
        return "\n".join(textwrap.fill(line, 100, break_on_hyphens=False) for line in plain.split("\n"))


def statement(claim_ids: Sequence[str]) -> Statement:
    """Each claim as stated and as corrected, with null hypothesis, multiplicity, scope and revisions."""
    return Statement("\n\n".join(_statement(rule(claim)) for claim in claim_ids))


def _statement(entry: Mapping) -> str:
    parts = [f"**{entry['title']}** ({entry['kind']})"]
    parts += [f"> **{word}.** {entry['statement'][reading]}" for reading, word in _READING.items()]
    parts += [f"**{word}.** {entry[field]}" for field, word in _FIELDS.items()]
    parts += [
        f"**Revised {r['date']}**, having seen {r['seen']}. {r['changed']}" for r in entry.get("revised", ())
    ]
    return "\n\n".join(parts)


def rules(claim_ids: Sequence[str]) -> pd.DataFrame:
    """The decision rules of some claims: one row per claim and reading, in words."""
    rows = []
    for claim, reading in itertools.product(claim_ids, READINGS):
        entry = rule(claim)
        parts = entry["rules"]
        before = _conjunction(parts.get("preconditions", {})) or "–"
        required = ", ".join(parts.get("required", ())) or "–"
        words = (reading.replace("_", " "), _conjunction(parts[reading]), before, required)
        rows.append((claim, *words, entry["null_hypothesis"], entry["multiplicity"]))
    columns = [
        "claim",
        "reading",
        "supported when",
        "testable when",
        "required controls",
        "null",
        "multiplicity",
    ]
    return pd.DataFrame(rows, columns=columns).set_index(["claim", "reading"])


def residues(found: Mapping[str, object]) -> pd.DataFrame:
    """What is left of each identity of a symbolic proof (`theory.prove_...`): 0 where it holds."""
    rows = {name.replace("_", " "): str(residue) for name, residue in found.items()}
    return pd.DataFrame({"residue": rows}).rename_axis("identity")


def operating(found: Mapping[str, OperatingCharacteristic]) -> pd.DataFrame:
    """How each corrected rule judges worlds whose true effect is known: one row per claim and world.

    Shares of the simulations called supported, refuted or neither. In world "null" no effect must be called
    supported: the upper 95 % limit of that error stands beside it.
    """
    rows = []
    for (claim, one), world in itertools.product(found.items(), ("true", "modest", "null", "false")):
        supported, refuted = (one.rates[world].get(word, 0.0) for word in (SUPPORTED, REFUTED))
        limit = one.null_supported_high if world == "null" else np.nan
        shares = supported, limit, refuted, 1 - supported - refuted
        rows.append((claim, one.effects[world], *shares, one.n_simulations))
    columns = ["claim", "true effect", "supported", "at most (95 %)", "refuted", "undecided", "simulations"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2])


def verdicts(found: Sequence[Verdict]) -> pd.DataFrame:
    """One row per language: both verdicts, the primary statistic as what it is, Holm's p.

    An interval has its 95 % limits (an excess says what each is over), a test its p-value, a count its range.
    """
    rows = [
        {
            "language": v.language,
            "as stated": v.as_stated,
            "as corrected": v.as_corrected,
            **{k: getattr(v, k) for k in _SHOWN},
            "minimal effect": v.minimal_effect,
            "p (Holm)": v.p_holm,
        }
        for v in found
    ]
    table = pd.DataFrame(rows).set_index("language")
    return _as_shown(table.astype({"estimate": float, "low": float, "high": float}))


def _as_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that no statistic in it has, and with the others' names in words."""
    named = [k for k in (*_SHOWN, "p (Holm)") if k != "estimate" and k in table]
    gone = [k for k in named if table[k].isna().all()]
    return table.drop(columns=gone).rename(columns=_SHOWN, index={OVERALL: "in general"})


def reasons(found: Sequence[Verdict]) -> pd.DataFrame:
    """Why each verdict is what it is, in the words of its rule."""
    rows = {v.language: (v.as_stated_reason, v.as_corrected_reason) for v in found}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["as stated", "as corrected"])
    return _as_shown(table)


def controls(found: Sequence[Verdict]) -> pd.DataFrame:
    """Every control under the rule that judges the model: its statistic, its verdict, whether that is right.

    The verdict on the claim as stated has a column where it is another one.
    """
    rows = [{"language": v.language, **control} for v in found for control in v.controls]
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).drop(columns="statistic_kind", errors="ignore")
    stated = table.pop("verdict_as_stated")
    if (stated.notna() & (stated != table["verdict"])).any():
        table.insert(table.columns.get_loc("verdict"), "verdict as stated", stated)
    return _as_shown(table.rename(columns={"passed": "as it should be"}).set_index(["language", "name"]))


def without_model(ledger: pd.DataFrame) -> pd.DataFrame:
    """Both verdicts of each claim that is about no language model: mathematics and synthetic worlds."""
    rows = ledger[(ledger["model"] == "any") & (ledger["language"] == OVERALL)]
    named = rows.assign(claim=rows["claim"].str.replace("_", " ")).set_index("claim")
    return named[list(READINGS)].rename(columns=lambda name: name.replace("_", " "))


def by_model(ledger: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows about language models, one table per model, other corpora apart from the built-in one."""
    rows = ledger[ledger["model"] != "any"]
    built_in = rows["corpus"].str.contains("number-stories")
    return [one for _, one in rows.groupby([rows["model"], ~built_in], sort=False)]


def measured(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger's rows of mathematics and of models that anything was measured on."""
    counts = ledger.groupby("model")["estimate"].transform("count")
    return ledger[(counts > 0) | (ledger["model"] == "any")].reset_index(drop=True)


def counts(ledger: pd.DataFrame) -> pd.DataFrame:
    """How many claims, models, languages and verdicts a ledger has."""
    models, languages = (set(ledger[name]) for name in ("model", "language"))
    sizes = [ledger["claim"].nunique(), len(models - {"any"}), len(languages - {OVERALL}), len(ledger)]
    return pd.DataFrame([sizes], index=["ledger"], columns=["claims", "models", "languages", "verdicts"])


def decided(ledger: pd.DataFrame) -> pd.DataFrame:
    """How many corrected claims about a model are decided for all languages together, by corpus and in all.

    A verdict decides unless it is inconclusive or not testable.
    """
    about_models = (ledger["language"] == OVERALL) & (ledger["model"] != "any")
    found = ledger[about_models].assign(decided=ledger["as_corrected"].isin(DECIDED))
    table = found.groupby("corpus", sort=False)["decided"].agg(["size", "sum"])
    table.loc["all corpora"] = table.sum()
    table.columns = ["verdicts", "decided"]
    return table.assign(share=table["decided"] / table["verdicts"])


def unmeasured(ledger: pd.DataFrame) -> pd.DataFrame:
    """Why nothing was measured, by model, for those that `measured` leaves out."""
    rest = ledger[~ledger["model"].isin(measured(ledger)["model"])].drop_duplicates("model")
    return rest.set_index("model")[["as_corrected_reason"]].rename(columns={"as_corrected_reason": "reason"})


def _conjunction(conditions: Mapping) -> str:
    return "; ".join(_condition(name, condition) for name, condition in conditions.items())


def _condition(name: str, condition: Mapping | Sequence[str] | str) -> str:
    called = name.replace("_", " ")
    if not isinstance(condition, Mapping):
        words = condition if isinstance(condition, str) else ", ".join(b.replace("_", " ") for b in condition)
        return f"{called}: {words}"
    kind = condition_kind(name, condition)
    if kind == INTERVAL:
        side, limit, refuting = bound_of(condition)
        other = {"above": "below", "below": "above"}[side]
        apart = f", refuted {other} {refuting:g}" if refuting != limit else ""
        return f"95 % limits of {called} {side} {limit:g}{apart}"
    if kind == TEST:
        sides = [f"{called} {k} {condition[k]:g}" for k in ("above", "below") if k in condition]
        level = next(f"{k[2:]} {v:g}" for k, v in condition.items() if k.startswith("p_"))
        return f"p of {called} {level}" + "".join(f" with {one}" for one in sides)
    ((side, k),) = condition.items()
    return f"{called} {side.replace('_', ' ')} {k}"
