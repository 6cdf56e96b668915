"""Number = equation = JavaScript for every formula, and its units hold. A new formula is tested by being written."""

import json

import numpy
import pint
import pytest
import quickjs
import sympy

from llmcost import faces
from llmcost.notation import NOTATION

FORMULAS = list(faces.formulas().values())
SAMPLES = 60
every_formula = pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)


def sample(names, rng, size=SAMPLES) -> dict[str, numpy.ndarray]:
    """Random values over the range of each parameter, both ends among them; whole where only whole ones make sense."""
    values = {}
    for name in names:
        row = NOTATION[name]
        if row.scale == "log":
            drawn = numpy.exp(rng.uniform(numpy.log(row.low), numpy.log(row.high), size))
        else:
            drawn = rng.uniform(row.low, row.high, size)
        drawn = numpy.clip(drawn, row.low, row.high)
        drawn[:2] = row.low, row.high
        values[name] = numpy.round(drawn) if row.whole else drawn
    if {"n_active_experts", "n_experts"} <= set(values):  # a token cannot use more experts than there are
        values["n_active_experts"] = numpy.minimum(values["n_active_experts"], values["n_experts"])
    if "n_expert_params" in values:  # experts are a part of the parameters
        values["n_expert_params"] = numpy.floor(values["n_params" if "n_params" in values else "n_active_params"] * rng.uniform(0, 0.98, size))
    if "n_lookup_params" in values:
        values["n_lookup_params"] = numpy.floor(values["n_params" if "n_params" in values else "n_active_params"]
                                                * rng.uniform(0, 0.01, size))
    return values


@every_formula
def test_each_parameter_is_in_the_notation_table(formula):
    names = faces.parameters(formula)
    assert set(names) <= set(NOTATION)
    given = faces.units(formula)
    assert {name: given[name] for name in names} == {name: given[name] for name in names
                                                     if given[name] == NOTATION[name].unit}


@every_formula
def test_result_that_others_take_has_the_unit_of_the_table(formula):
    if formula.__name__ in NOTATION:
        assert faces.units(formula)["return"] == NOTATION[formula.__name__].unit


@every_formula
def test_equation_equals_number(formula, rng):
    xs = sample(faces.parameters(formula), rng)
    symbols = [faces._symbol(name) for name in xs]
    equation = sympy.lambdify(symbols, faces.equation(formula), "numpy")
    numpy.testing.assert_allclose(equation(*xs.values()), formula(**xs), rtol=1e-12)


def number_or_nan(formula, point) -> float:
    """The value at `point`; NaN where it is infinite, as JSON turns JavaScript's Infinity into nothing."""
    try:
        value = float(faces.at(formula, point))
    except ZeroDivisionError:
        return numpy.nan
    return value if numpy.isfinite(value) else numpy.nan


@every_formula
def test_javascript_equals_number(formula, rng):
    names = faces.leaves(formula)
    xs = sample(names, rng)
    points = [dict(zip(names, map(float, point))) for point in zip(*xs.values())]
    context = quickjs.Context()
    context.eval(faces.javascript_module())
    got = json.loads(context.eval(f"JSON.stringify({json.dumps(points)}.map(llmcost.formulas.{formula.__name__}))"))
    want = [number_or_nan(formula, point) for point in points]
    numpy.testing.assert_allclose(numpy.array(got, float), want, rtol=1e-12)


@every_formula
def test_arrays_equal_scalars_also_for_whole_numbers(formula, rng):
    """Arrays of int64 must not overflow: 10 million tokens squared times a few factors does."""
    names = faces.parameters(formula)
    xs = sample(names, rng)
    whole = {name: x.astype(numpy.int64) if NOTATION[name].whole else x for name, x in xs.items()}
    exact = [float(formula(**{name: int(x[i]) if NOTATION[name].whole else float(x[i]) for name, x in xs.items()}))
             for i in range(SAMPLES)]
    numpy.testing.assert_allclose(formula(**whole), exact, rtol=1e-12)


@pytest.fixture(scope="module")
def unit_registry():
    registry = pint.UnitRegistry()
    for word in ("token", "sequence", "head", "layer", "element", "parameter", "fraction", "flop", "request"):
        registry.define(f"{word} = []")
    registry.define("usd = [money]")
    return registry


def dimension_of(formula, registry):
    units = faces.units(formula)
    names = [name for name in units if name != "return"]
    values = {name: (3.0 + i) * registry(units[name]) if units[name] != "1" else 3.0 + i for i, name in enumerate(names)}
    values = {name: value.m if hasattr(value, "m") and value.dimensionless else value for name, value in values.items()}
    return registry.Quantity(formula(**values)).dimensionality, registry.Quantity(1, units["return"].replace("fraction", "")
                                                                                 if units["return"] != "1" else "").dimensionality


@every_formula
def test_dimension(formula, unit_registry):
    got, want = dimension_of(formula, unit_registry)
    assert got == want


def test_dimension_catches_a_swapped_denominator(unit_registry):
    from llmcost.units import Bytes, BytesPerSecond, Seconds

    def reading_time(weight_bytes: Bytes, memory_bandwidth: BytesPerSecond) -> Seconds:
        return memory_bandwidth / weight_bytes

    got, want = dimension_of(reading_time, unit_registry)
    assert got != want


def test_dimension_catches_the_inverted_unit_cost(unit_registry):
    """A source prints tokens over dollars where the cost of a token is dollars over tokens."""
    from llmcost.units import TokensPerSecond, UsdPerSecond, UsdPerToken

    def inverted(hardware_price: UsdPerSecond, tokens_per_second: TokensPerSecond) -> UsdPerToken:
        return tokens_per_second / hardware_price

    got, want = dimension_of(inverted, unit_registry)
    assert got != want


@every_formula
def test_latex_names_every_parameter(formula):
    text = faces.latex(formula)
    for name in faces.parameters(formula):
        assert NOTATION[name].symbol in text, f"{name} does not appear in {text}"


def test_symbols_are_told_apart():
    symbols = [row.symbol for row in NOTATION.values()]
    assert sorted({s for s in symbols if symbols.count(s) > 1}) == []


def test_every_row_of_the_notation_table_is_used():
    used = {name for formula in FORMULAS for name in faces.parameters(formula)}
    assert set(NOTATION) - used == set()


def test_at_names_what_is_missing():
    with pytest.raises(TypeError, match="kv_bytes_per_token needs n_kv_heads, d_head"):
        faces.at(faces.formulas()["kv_bytes_per_token"], n_layers=80, kv_bytes_per_element=2)


def test_at_refuses_what_it_cannot_use():
    with pytest.raises(TypeError, match="no use for batch"):
        faces.at(faces.formulas()["kv_elements"], n_kv_heads=8, d_head=128, batch=2)


def test_at_refuses_two_values_for_one_name():
    with pytest.raises(TypeError, match="d_head has two values"):
        faces.at(faces.formulas()["kv_elements"], {"n_kv_heads": 8, "d_head": 128}, {"d_head": 64})


def test_at_follows_a_parameter_that_is_a_formula():
    assert faces.at(faces.formulas()["crossover_tokens"], n_params=10, weight_bytes_per_param=2,
                    full_elements_per_token=1, sparse_elements_per_token=0, kv_bytes_per_element=2,
                    index_bytes_per_token=0) == 10
