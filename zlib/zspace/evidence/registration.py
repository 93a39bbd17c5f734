"""Which ledger rows confirm a claim: those whose rule was fixed before anybody looked at their corpus.

`params/registration.yaml` sorts the corpora, `params/registered.yaml` names the commit at which each claim's
rule was fixed; `register` writes it. Whoever changes a rule after its claim was judged on a corpus of
confirmation has looked at that corpus: `register` notes it, and rows on it explore from then on.
"""

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from .. import files
from ..errors import ParameterError
from ..sources.models import tuned
from . import claims

CONFIRMS, EXPLORES, OLDER = "confirms", "explores", "judged by an older rule"
_HEAD = (
    "# Written by `zspace register`: of each claim the fingerprint of its rules, the commit and day of its\n"
    "# registration, and the corpora of confirmation that had been looked at with it before.\n"
)


def fingerprint(rules: Mapping) -> str:
    """What tells the rules of a claim from any others; wording and order of names do not count."""
    return files.fingerprint(rules)


def is_older(record: Mapping) -> bool:
    """Whether a ledger record was judged by other rules than `params/claims.yaml` has now."""
    entry = claims.entries().get(record["claim"])
    return entry is None or _rule_of(record) != fingerprint(entry["rules"])


def standing(record: Mapping) -> str:
    """CONFIRMS or EXPLORES; "" for a record about no model, whose claim is settled by no corpus."""
    if record["model"] == "any":
        return ""
    known = registered().get(record["claim"])
    confirms = (
        known is not None
        and known["rule"] == _rule_of(record)
        and not is_older(record)
        and str(record.get("provenance", {}).get("date", "")) >= known["date"]
        and _is_confirmation(record)
        and corpus_of(record) not in known["looked_at"]
    )
    return CONFIRMS if confirms else EXPLORES


def corpus_of(record: Mapping) -> str:
    """The corpus of a record as `params/registration.yaml` names it."""
    name = record["corpus"].partition("/")[0]
    return f"{name} of tuned models" if tuned.MARK in Path(record["model"]).name else name


def registered() -> dict[str, dict]:
    """Claim -> rule (fingerprint), commit, date, looked_at; empty before the first `register`."""
    there = (files.PROJECT / "params" / "registered.yaml").is_file()
    return files.params("registered") if there else {}


def register(records: Sequence[Mapping] = ()) -> Path:
    """Name the present commit as the one at which the rules of all claims were fixed; returns the file.

    A claim whose rules are those of its registration keeps it. `records` are those of every ledger at hand:
    the corpora of confirmation among them have been looked at with the claims whose rules are new.

    Raises ParameterError where `params/claims.yaml` differs from the commit, or there is no git history.
    """
    commit, before, found = _commit_of_rules(), registered(), {}
    for claim, entry in claims.entries().items():
        rule, known = fingerprint(entry["rules"]), before.get(claim)
        if known is not None and known["rule"] == rule:
            found[claim] = known
            continue
        seen = {corpus_of(r) for r in records if r["claim"] == claim and _is_look(r)}
        seen |= set(known["looked_at"]) if known else set()
        today = datetime.date.today().isoformat()
        found[claim] = {"rule": rule, "commit": commit, "date": today, "looked_at": sorted(seen)}
    path = files.PROJECT / "params" / "registered.yaml"
    with files.atomic_write(path) as stream:
        stream.write(_HEAD + yaml.safe_dump(found, sort_keys=False, allow_unicode=True))
    return path


def _rule_of(record: Mapping) -> str:
    return fingerprint(record.get("rule", {}).get("rules", {}))


def _is_confirmation(record: Mapping) -> bool:
    return corpus_of(record) in files.params("registration")["confirmation"]


def _is_look(record: Mapping) -> bool:
    """Whether a record shows what a corpus of confirmation gives, and not only that nothing was measured."""
    measured = any(row.get("n_items") or row.get("estimate") is not None for row in record["rows"])
    return measured and _is_confirmation(record)


def _commit_of_rules() -> str:
    command = ["git", "-C", str(files.PROJECT), "status", "--porcelain", "--", "params/claims.yaml"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if found.returncode or found.stdout.strip():
        why = "it is not what was committed" if not found.returncode else "there is no git history"
        raise ParameterError(
            f"the rules of params/claims.yaml cannot be registered: {why}. Commit them first: a registration "
            "names the commit that holds them."
        )
    return files.provenance()["commit"]
