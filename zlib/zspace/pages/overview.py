"""What the index shows across records: corpora beside each other, and where the pages of controls are."""

from ..sources import corpora
from .rendering import Page

# Model and corpus of a record that is about neither, such as a theorem's.
ANY = "any"
CONTROLS = "controls"  # the notebook that shows all controls


def side_by_side(groups: list[dict]) -> list[dict]:
    """The corpora of each model beside each other: claim and language, with one cell a corpus.

    Empty for a model that was measured on one corpus only, and for one that nothing was measured on.
    """
    found = []
    for model in dict.fromkeys(group["model"] for group in groups if group["model"] != ANY):
        own = [g for g in groups if g["model"] == model and any(row["n_items"] for row in g["rows"])]
        names = list(dict.fromkeys(group["corpus"] for group in own))
        if len(names) < 2:
            continue
        rows = {}
        for group in own:
            for row in group["rows"]:
                place = rows.setdefault((group["claim"], row["language"]), {"title": group["title"]})
                place[group["corpus"]] = row
        lines = [
            {"title": cells["title"], "language": language, "cells": [cells.get(name) for name in names]}
            for (_, language), cells in rows.items()
        ]
        found.append({"model": model, "corpora": names, "rows": lines})
    return found


def control_pages(pages: list[Page]) -> list[dict]:
    """Pages of the notebook `controls`, one line a model and corpus, those of one pair by its language."""
    lines: dict[tuple, dict] = {}
    for page in pages:
        if page.source.stem.split("--")[0] != CONTROLS:
            continue
        model, name = str(page.parameters.get("model", "")), corpus_of(page)
        line = lines.setdefault((model, name), {"model": model, "corpus": name, "all": None, "pairs": []})
        if is_pair(page):
            line["pairs"].append((_languages(page)[-1], page))
        else:
            line["all"] = page
    return list(lines.values())


def is_pair(page: Page) -> bool:
    """Whether a page is one of the notebook `controls` about a single pair of languages."""
    return page.source.stem.split("--")[0] == CONTROLS and len(_languages(page)) == 2


def corpus_of(page: Page) -> str:
    """What the ledger calls the corpus that a page's notebook read, as far as its parameters tell."""
    return corpora.label(*(str(page.parameters.get(k, "")) for k in ("corpus", "version", "padding")))


def _languages(page: Page) -> list[str]:
    return [code.strip() for code in str(page.parameters.get("languages", "")).split(",") if code.strip()]
