"""Shared by all tests: the outputs of notebooks are static, and random numbers repeat."""

import os

import numpy
import pytest

os.environ["LLMCOST_STATIC"] = "1"


@pytest.fixture
def rng():
    return numpy.random.default_rng(20261121)


def pytest_collection_modifyitems(items):
    """What one worker runs in one go: a file, or what the browser tests do on one page, which takes longest."""
    for item in items:
        page = item.callspec.params.get("address", "") if item.path.name == "test_site.py" and hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name} {page}"))
