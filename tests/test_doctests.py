"""Every example in a docstring gives what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import llmcost

MODULES = [module.name for module in pkgutil.walk_packages(llmcost.__path__, "llmcost.") if not module.name.endswith("__main__")]
MODULES.append("bookext.styles")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 60
