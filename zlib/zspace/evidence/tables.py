"""Tables that a notebook shows beside its figures: rules, error rates, controls, verdicts."""

from collections.abc import Mapping, Sequence

import pandas as pd

from .claims import OVERALL, READINGS, OperatingCharacteristic, Verdict, rule


def rules(claim_ids: Sequence[str]) -> pd.DataFrame:
    """The decision rules of some claims: one row per claim and reading, in words."""
    rows = []
    for claim in claim_ids:
        entry = rule(claim)
        for reading in READINGS:
            words = "; ".join(_condition(name, bound) for name, bound in entry["rules"][reading].items())
            rows.append(
                (claim, reading.replace("_", " "), words, entry["null_hypothesis"], entry["multiplicity"])
            )
    table = pd.DataFrame(rows, columns=["claim", "reading", "supported when", "null", "multiplicity"])
    return table.set_index(["claim", "reading"])


def operating(found: Mapping[str, OperatingCharacteristic]) -> pd.DataFrame:
    """Error rates of each corrected rule: claim -> rates in worlds whose answer is known."""
    rows = {
        claim: {
            "supported when the effect is on the bound": one.null_supported,
            "upper 95 % limit": one.null_supported_high,
            "supported at twice the bound": one.power_modest,
            "supported when planted": one.power,
            "refuted when absent": one.false_refuted,
            "refuted when the effect is on the bound": one.null_refuted,
            "simulations per world": one.n_simulations,
        }
        for claim, one in found.items()
    }
    return pd.DataFrame(rows).T.convert_dtypes()


def verdicts(found: Sequence[Verdict]) -> pd.DataFrame:
    """One row a language: both verdicts, the primary statistic with its interval, Holm's p."""
    rows = [
        {
            "language": v.language,
            "as stated": v.as_stated,
            "as corrected": v.as_corrected,
            "estimate": v.estimate,
            "low": v.low,
            "high": v.high,
            "minimal effect": v.minimal_effect,
            "p (Holm)": v.p_holm,
        }
        for v in found
    ]
    return pd.DataFrame(rows).set_index("language").astype({"estimate": float, "low": float, "high": float})


def reasons(found: Sequence[Verdict]) -> pd.DataFrame:
    """Why each verdict is what it is, in the words of its rule."""
    rows = {v.language: (v.as_stated_reason, v.as_corrected_reason) for v in found}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["as stated", "as corrected"])


def controls(found: Sequence[Verdict]) -> pd.DataFrame:
    """Every control under the rule that judges the model: estimate, interval, verdict, passed."""
    rows = [{"language": v.language, **control} for v in found for control in v.controls]
    table = pd.DataFrame(rows).drop(columns="verdict_as_stated", errors="ignore")
    return table.set_index(["language", "name"]) if len(table) else table


def subjects(found: Sequence[Verdict]) -> pd.DataFrame:
    """The trained model and its controls on the primary statistic."""
    rows = []
    for v in found:
        if v.estimate is None:
            continue
        rows.append((v.language, "trained", v.estimate, v.low, v.high))
        rows += [(v.language, c["name"], c["estimate"], c["low"], c["high"]) for c in v.controls]
    return pd.DataFrame(rows, columns=["language", "subject", "estimate", "low", "high"])


def without_model(ledger: pd.DataFrame) -> pd.DataFrame:
    """Both verdicts of each claim that is about no language model: mathematics and synthetic worlds."""
    rows = ledger[(ledger["model"] == "any") & (ledger["language"] == OVERALL)]
    named = rows.assign(claim=rows["claim"].str.replace("_", " ")).set_index("claim")
    return named[list(READINGS)].rename(columns=lambda name: name.replace("_", " "))


def by_model(ledger: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows about language models, one table a model, other corpora apart from the built-in one."""
    rows = ledger[ledger["model"] != "any"]
    built_in = rows["corpus"].str.contains("number-stories")
    return [one for _, one in rows.groupby([rows["model"], ~built_in], sort=False)]


def measured(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger's rows of mathematics and of models that anything was measured on."""
    counts = ledger.groupby("model")["estimate"].transform("count")
    return ledger[(counts > 0) | (ledger["model"] == "any")].reset_index(drop=True)


def unmeasured(ledger: pd.DataFrame) -> pd.DataFrame:
    """Why nothing was measured, by model, for those that `measured` leaves out."""
    rest = ledger[~ledger["model"].isin(measured(ledger)["model"])].drop_duplicates("model")
    return rest.set_index("model")[["as_corrected_reason"]].rename(columns={"as_corrected_reason": "reason"})


def _condition(name: str, bound: Mapping | Sequence[str] | str) -> str:
    if isinstance(bound, Mapping):
        limits = ", ".join(
            f"{side.replace('_', ' ')} {limit:g}" for side, limit in bound.items() if side != "effect"
        )
        return f"95 % interval of {name.replace('_', ' ')} {limits}"
    words = bound if isinstance(bound, str) else ", ".join(b.replace("_", " ") for b in bound)
    return f"{name.replace('_', ' ')}: {words}"
