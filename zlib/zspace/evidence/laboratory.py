"""What every claim notebook does alike: texts and language pairs from its parameters, named streams, records.

`open_lab(globals(), streams=(...))` takes a notebook's parameters and names its streams of random numbers;
everything after it is one call: `load` (texts), `open_pairs` and `open_others` (states), `error_rates`,
`record`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from .. import files
from ..errors import ModelError
from ..sources import corpora, languages, models
from ..sources.corpora import Corpus
from ..sources.models import TRAINED
from ..states import imported
from . import claims, error_rates, executions, language_pairs, needs, tables
from .claims import OperatingCharacteristic, Verdict
from .error_rates import Worlds
from .language_pairs import LanguagePair

# parameters of a notebook that choose its texts, as `corpora.load` names them
_TEXTS = ("version", "n_scenarios", "n_draws", "difficulty", "padding", "seed", "n_items", "block")
_COUNTS = ("n_random", "n_re_rounded")  # of variants, as `language_pairs.variants` names them
_ANY = "any"  # model and corpus of a claim that is about neither
# parameters that decide nothing about such a claim, whatever its notebook does beside it
_OF_MODELS = {"model", "corpus", "languages", "other_languages", "levels", "recorded", "written", "layer"}
_OF_MODELS |= {"n_live", "n_re_rounded", "n_random", "sinks", *_TEXTS} - {"seed"}


@dataclass(frozen=True)
class Lab:
    """Parameters of one notebook, its streams of random numbers by name, and the claims that it judges."""

    parameters: Mapping[str, object]
    rng: Mapping[str, np.random.Generator]
    claims: tuple[str, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the parameter `languages`, the anchor first where there is one."""
        return languages.parse(self.parameters["languages"])

    def load(self, **changes) -> Corpus:
        """The texts that the parameters name; `changes` replace some, for a row of a sensitivity table.

        Without changes: raises ParameterError where texts or model lack what a claim needs (`needs`).
        """
        other = bool(changes)
        given = {name: self.parameters[name] for name in _TEXTS if name in self.parameters}
        if "levels" in self.parameters:
            given["difficulty"] = [int(level) for level in self.parameters["levels"].split(",")]
        codes = changes.pop("languages", None) or self.languages
        texts = corpora.load(self.parameters["corpus"], codes, **{**given, **changes})
        if not other:
            facts = needs.of_texts(texts, self.parameters["model"])
            needs.require(self.claims, facts, f"{texts.name} in {', '.join(texts.languages)}")
        return texts

    def open_pairs(self, texts: Corpus, kinds: Sequence[str] = (), **options) -> dict[str, LanguagePair]:
        """Every language beside the anchor with all controls, or with those of some kinds ("random", ...)."""
        counts = {name: self.parameters[name] for name in _COUNTS if name in self.parameters}
        wanted = language_pairs.variants(**counts)
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
        about = {"texts": texts, "pairs": pairs, "corpus": corpus, "scope": scope}
        title = self.write(claim, verdicts, operating=operating, **about)
        shown = tables.verdicts(verdicts).round(3), tables.reasons(verdicts)
        return tuple(table.rename_axis(title) for table in shown)

    def write(
        self,
        claim: str,
        verdicts: Sequence[Verdict],
        *,
        texts: Corpus | None = None,
        pairs: Mapping[str, LanguagePair] = MappingProxyType({}),
        operating: OperatingCharacteristic | None = None,
        corpus: str = _ANY,
        scope: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """`record` without its tables; returns what they are called."""
        if texts is not None:
            corpus, scope = f"{texts.name}/{texts.version}", language_pairs.scope(texts, pairs)
        about_none = corpus == _ANY
        read = {} if about_none else self._read(texts)
        if "attention" in (identity := read.get("model", {})):
            scope = {**scope, "states": models.Kind(identity["attention"], identity["residual"]).label}
        claims.record(
            claim,
            verdicts,
            model=_ANY if about_none else executions.located(self.parameters["model"], Path()),
            corpus=corpus,
            operating=operating,
            provenance=files.provenance(),
            scope=scope,
            parameters=self._deciding(claims.rule(claim)["notebook"], about_none=about_none),
            read=read,
        )
        return f"{claim} ({scope['states']} states)" if "states" in scope else claim

    def _deciding(self, notebook: str, *, about_none: bool) -> dict[str, object]:
        """The notebook's own parameters; for a claim about no model without those of models and texts."""
        path = files.PROJECT / "notebooks" / f"{notebook}.ipynb"
        names = executions.notebook_parameters(path) if path.is_file() else self.parameters
        kept = {k: self.parameters[k] for k in names if k in self.parameters}
        if about_none:
            kept = {k: v for k, v in kept.items() if k not in _OF_MODELS}
        return executions.placed(kept, Path())

    def _read(self, texts: Corpus | None) -> dict[str, object]:
        """What identifies the content of model and corpus, as far as they are here."""
        model = self.parameters["model"]
        found = imported.find(model, texts) if texts is not None else None
        try:
            identity = found.identity(TRAINED) if found else models.identity(model)
        except ModelError:  # recordings of a model can be read where its weights cannot
            identity = {}
        recorded = Path(self.parameters.get("recorded", ""))
        return {
            "model": identity,
            "corpus": texts.fingerprint if texts is not None else "",
            "recorded": files.content_hash(recorded) if recorded.is_file() else "",
        }


def open_lab(parameters: Mapping[str, object], *, streams: Sequence[str] = ()) -> Lab:
    """The lab of a notebook: call it with `globals()`, below the cell of parameters.

    Its claims are those that the variable CLAIMS names, where there is one.

    streams : names of the random streams, all spawned from the parameter `seed`. A name added at the end
        leaves the others as they are.
    """
    from . import theme  # a survey draws nothing, and runs where no plotting library is

    theme.prepare_notebook()
    plain = {name: v for name, v in parameters.items() if isinstance(v, str | int | float | bool)}
    spawned = np.random.default_rng(plain.get("seed", 0)).spawn(len(streams))
    named = MappingProxyType(dict(zip(streams, spawned, strict=True)))
    return Lab(MappingProxyType(plain), named, tuple(parameters.get("CLAIMS", ())))
