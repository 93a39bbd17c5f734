"""The docstring of each folder of evidence says where the evidence, worlds and figures of its claims are."""

import importlib
import pkgutil
import re

import pytest
from zspace import evidence
from zspace.evidence import claims

FOLDERS = [m.name for m in pkgutil.iter_modules(evidence.__path__, f"{evidence.__name__}.") if m.ispkg]
ROW = re.compile(r"^(\w+) : (.*);(.*); `figures`$", re.MULTILINE)


def rows(folder):
    """Claim -> where its evidence and its worlds are, in words."""
    text = importlib.import_module(folder).__doc__
    return {claim: where for claim, *where in ROW.findall(text) if claim != "claim"}


def test_folders_name_every_claim_once():
    named = [claim for folder in FOLDERS for claim in rows(folder)]
    assert sorted(named) == sorted(claims.entries())


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_names_what_is_there(folder):
    assert importlib.import_module(f"{folder}.figures")
    places = [
        place for where in rows(folder).values() for words in where for place in re.findall(r"`(\S+)`", words)
    ]
    assert places
    for module, _, function in (place.partition(".") for place in places):
        assert callable(getattr(importlib.import_module(f"{folder}.{module}"), function)), (module, function)
