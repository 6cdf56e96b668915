"""Shared by all tests: the outputs of notebooks are static, and random numbers repeat."""

import os

import numpy
import pytest

os.environ["LLMCOST_STATIC"] = "1"


@pytest.fixture
def rng():
    return numpy.random.default_rng(20261121)
