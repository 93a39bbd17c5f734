"""What every claim notebook does alike: texts and language pairs from its parameters, named streams, records.

`open_lab(globals(), streams=(...))` takes a notebook's parameters and names its streams of random numbers;
everything after it is one call: `load` (texts), `open_pairs` and `open_others` (states), `error_rates`,
`record`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from .. import files
from ..sources import corpora
from ..sources.corpora import Corpus
from . import claims, error_rates, language_pairs, tables, theme
from .claims import OperatingCharacteristic, Verdict
from .error_rates import Worlds
from .language_pairs import LanguagePair

# parameters of a notebook that choose its texts, as `corpora.load` names them
_TEXTS = ("version", "n_scenarios", "n_draws", "difficulty", "padding", "seed", "n_items", "block")
_ANY = "any"  # model and corpus of a claim that is about neither


@dataclass(frozen=True)
class Lab:
    """Parameters of one notebook, and its streams of random numbers by name."""

    parameters: Mapping[str, object]
    rng: Mapping[str, np.random.Generator]

    def load(self, **changes) -> Corpus:
        """The texts that the parameters name; `changes` replace some of them."""
        given = {name: self.parameters[name] for name in _TEXTS if name in self.parameters}
        if "levels" in self.parameters:
            given["difficulty"] = [int(level) for level in self.parameters["levels"].split(",")]
        codes = changes.pop("languages", None) or self.parameters["languages"].split(",")
        return corpora.load(self.parameters["corpus"], codes, **{**given, **changes})

    def open_pairs(self, texts: Corpus, kinds: Sequence[str] = (), **options) -> dict[str, LanguagePair]:
        """Every language beside the anchor with all controls, or with those of some kinds ("random", ...)."""
        wanted = language_pairs.variants(self.parameters.get("n_re_rounded", 0))
        kept = [v for v in wanted if not kinds or v.kind in ("trained", "re-rounded", *kinds)]
        options = {"rng": self.rng["pairs"], "variants": kept, "progress": False, **options}
        return language_pairs.open_pairs(self.parameters["model"], texts, **options)

    def open_others(self, texts: Corpus, **options) -> dict[str, LanguagePair]:
        """Pairs of other texts, or pooled otherwise, for a row of a sensitivity table; none if not there."""
        options = {"rng": self.rng["other pairs"], "progress": False, **options}
        return language_pairs.open_if_there(self.parameters["model"], texts, **options)

    def error_rates(self, *worlds: Worlds) -> dict[str, OperatingCharacteristic]:
        """How often the rule of each claim errs, by claim."""
        n = self.parameters["n_simulations"]
        streams = self.rng["error rates"].spawn(len(worlds))
        return {
            one.claim: error_rates.rates(one, rng=stream, n_simulations=n)
            for one, stream in zip(worlds, streams, strict=True)
        }

    def record(
        self,
        claim: str,
        verdicts: Sequence[Verdict],
        *,
        texts: Corpus | None = None,
        pairs: Mapping[str, LanguagePair] = MappingProxyType({}),
        operating: OperatingCharacteristic | None = None,
        corpus: str = _ANY,
        scope: Mapping[str, object] = MappingProxyType({}),
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Write the verdicts of one claim to the ledger; returns the tables of them and of their reasons.

        Without `texts` the claim is about no model and no corpus, unless `corpus` and `scope` say what was
        read instead, such as recordings of a model's solutions.
        """
        if texts is not None:
            corpus, scope = f"{texts.name}/{texts.version}", language_pairs.scope(texts, pairs)
        claims.record(
            claim,
            verdicts,
            model=_ANY if corpus == _ANY else self.parameters["model"],
            corpus=corpus,
            operating=operating,
            provenance=files.provenance(),
            scope=scope,
        )
        shown = tables.verdicts(verdicts).round(3), tables.reasons(verdicts)
        return tuple(table.rename_axis(claim) for table in shown)


def open_lab(parameters: Mapping[str, object], *, streams: Sequence[str] = ()) -> Lab:
    """The lab of a notebook: call it with `globals()`, below the cell of parameters.

    streams : names of the random streams, all spawned from the parameter `seed`. A name added at the end
        leaves the others as they are.
    """
    theme.prepare_notebook()
    plain = {name: v for name, v in parameters.items() if isinstance(v, str | int | float | bool)}
    spawned = np.random.default_rng(plain.get("seed", 0)).spawn(len(streams))
    return Lab(MappingProxyType(plain), MappingProxyType(dict(zip(streams, spawned, strict=True))))
