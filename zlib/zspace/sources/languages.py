"""What is known of languages beforehand: script, family, how much text there is, how far apart they are.

From `params/languages.yaml` and `params/typology.csv`, where the sources stand. How much of a language a
model was trained on is not published for most models; what can be had are proxies, the sizes of crawls.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import files
from ..errors import ParameterError

# of a language's share of training text: billions of tokens in mC4, pages in a Common Crawl
PROXIES = ("mc4_tokens", "web_pages")


def table(codes: Sequence[str]) -> pd.DataFrame:
    """What is known of some languages: one row per code, in that order.

    Columns: name, script, family, and for every proxy its decimal logarithm ("log_mc4_tokens",
    "log_web_pages").

    Raises
    ------
    ParameterError : a language that params/languages.yaml lacks, or without a positive number for a proxy.
    """
    known = files.params("languages")
    rows = {}
    for code in codes:
        if code not in known:
            raise ParameterError(
                f"nothing is known of language {code!r}; params/languages.yaml has {', '.join(known)}. Add "
                "it there, with its sources."
            )
        entry = known[code]
        rows[code] = {name: entry[name] for name in ("name", "script", "family")}
        for proxy in PROXIES:
            size = entry.get(proxy)
            if not isinstance(size, int | float) or not size > 0:
                raise ParameterError(
                    f"{proxy} of {code} is {size!r} in params/languages.yaml; expected a positive number."
                )
            rows[code][f"log_{proxy}"] = math.log10(size)
    return pd.DataFrame.from_dict(rows, orient="index")


def distances(codes: Sequence[str]) -> np.ndarray:
    """(K, K) typological distances between languages, in [0, 1].

    Raises ParameterError for a language that params/typology.csv lacks.
    """
    known = pd.read_csv(files.PROJECT / "params" / "typology.csv", comment="#", index_col="language")
    if missing := [code for code in codes if code not in known.index]:
        raise ParameterError(
            f"no typological distance of {', '.join(missing)}; params/typology.csv has "
            f"{', '.join(known.index)}."
        )
    return known.loc[list(codes), list(codes)].to_numpy(float)
