"""Few bits: the codes are those of the formats, the sizes are those of the arrays, and the crossover is where the lines cross."""

import dataclasses
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llmcost import economics, engine_steps, phases, precision, quantization
from llmcost.catalog import ASSUMED, GPUS, MODELS
from llmcost.faces import at
from llmcost.precision import BYTES_PER_ELEMENT
from llmcost.quantizing import ELEMENTS, SCALES, SCHEMES, QuantizingError, Scheme, encode, quantized, rounded_tokens, with_outliers
from llmcost.reference_model import build, scaled

every_scheme = pytest.mark.parametrize("name", SCHEMES)
SHAPES = {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 160, "vocab_size": 97,
          "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 16, "n": 2}]}


# --- codes ----------------------------------------------------------------------------------------------

def test_values_of_the_small_floats_are_those_of_the_specifications():
    """OCP FP8: E4M3 ends at 448, its smallest numbers are 2^-9 and 2^-6; OCP MX: E2M1 has eight values."""
    e4m3 = ELEMENTS["e4m3"][1]
    assert ELEMENTS["e2m1"][1].tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert (len(e4m3), e4m3[-1], e4m3[1], e4m3[8]) == (127, 448, 2.0**-9, 2.0**-6) and (numpy.diff(e4m3) > 0).all()


def nearest(number, values):
    """The nearest of `values`, one by one; in the middle the one with the even code."""
    best = min(range(len(values)), key=lambda code: (abs(values[code] - number), code % 2))
    return values[best]


@pytest.mark.parametrize("element", ELEMENTS)
def test_each_number_goes_to_the_nearest_value(element, rng):
    values = ELEMENTS[element][1]
    middles = (values[1:] + values[:-1]) / 2
    numbers = numpy.concatenate([values, middles, rng.uniform(0, values[-1], 300)])
    both = numpy.concatenate([numbers, -numbers])[:, None]
    got = encode(both, Scheme(element, "fp32", group_columns=0)).decode().ravel()
    want = [math.copysign(nearest(abs(number), values), number) for number in both.ravel()]
    numpy.testing.assert_allclose(got, want, rtol=1e-6)


@every_scheme
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_was_rounded_once_stays_and_errors_are_bounded(name, data):
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 9)))
    array = data.draw(arrays(float, shape, elements=st.floats(-8, 8, width=16)))
    scheme = SCHEMES[name]
    stored = encode(array, scheme)
    back = stored.decode()
    bits, values = ELEMENTS[scheme.element]
    gap = numpy.diff(values).max() / values[-1]  # of the largest element of the group
    slack = 2.0 if scheme.scale == "e8m0" else 1.2  # a scale is rounded too, and a power of two may be half of what is wanted
    assert numpy.abs(back - array).max() <= slack * gap * max(numpy.abs(array).max(), 1e-30) + 2.0**-9
    assert (numpy.sign(back) * numpy.sign(array) >= 0).all()
    if scheme.scale in ("fp32", "e8m0"):  # those keep a scale that they have chosen once
        numpy.testing.assert_allclose(encode(back, scheme).decode(), back, rtol=1e-6, atol=1e-12)


# --- sizes ----------------------------------------------------------------------------------------------

@every_scheme
@settings(max_examples=40, deadline=None, derandomize=True)
@given(inner=st.integers(1, 400), columns=st.integers(1, 300))
def test_size_is_the_formula_to_the_byte(name, inner, columns):
    scheme = SCHEMES[name]
    stored = encode(numpy.ones((inner, columns)), scheme)
    assert stored.nbytes == precision.quantized_bytes(
        inner, columns, ELEMENTS[scheme.element][0], scheme.group_rows or inner, scheme.group_columns or columns,
        SCALES[scheme.scale], 4 if scheme.tensor_scale else 0)


@pytest.mark.parametrize("name", [name for name in SCHEMES if SCHEMES[name].group_rows])
def test_bytes_of_an_element_in_the_catalog_are_those_of_a_large_array(name):
    stored = encode(numpy.ones((1024, 512)), SCHEMES[name])
    assert stored.nbytes - (4 if SCHEMES[name].tensor_scale else 0) == 1024 * 512 * BYTES_PER_ELEMENT[name]


# --- a model ----------------------------------------------------------------------------------------------

TOKENS = numpy.random.default_rng(1).integers(0, 97, (2, 24))


def logits(decoder):
    return decoder.forward(TOKENS, decoder.empty_cache(2), every=True)


def error(decoder, scheme, activations=None):
    """Root mean square error of the logits, over that of the logits."""
    exact, rough = logits(decoder), logits(quantized(decoder, scheme, activations)[0])
    return float(numpy.sqrt(((rough - exact) ** 2).mean() / (exact**2).mean()))


def test_fewer_bits_and_larger_groups_err_more():
    decoder = build({**SHAPES, "d_model": 256, "d_ff": 512})
    errors = {name: error(decoder, scheme) for name, scheme in SCHEMES.items()}
    assert 0 < errors["int8"] < errors["fp8"] < errors["int4_g32"] < errors["int4_g128"]
    assert errors["nvfp4"] < errors["mxfp4"]
    assert error(decoder, SCHEMES["int8"], SCHEMES["int8"]) > errors["int8"]


@pytest.mark.parametrize("key", list(MODELS))
def test_every_model_of_the_catalog_runs_in_four_bits(key):
    decoder = build(scaled(MODELS[key].facts))
    small, stored = quantized(decoder, SCHEMES["mxfp4"], SCHEMES["int8"])
    assert numpy.isfinite(small.forward([[1, 2, 3, 4]], small.empty_cache(1))).all()
    matrices = sum(piece.shape[0] * piece.shape[1] for piece in stored.values())
    total = sum(array.size for layer in decoder.weights["layers"] for part in ("attention", "mlp") for array in _leaves(layer[part]))
    assert 0.8 * total < matrices <= total
    assert small.weights["embedding"] is decoder.weights["embedding"]


def _leaves(tree):
    if isinstance(tree, dict):
        return [leaf for one in tree.values() for leaf in _leaves(one)]
    return [tree] if isinstance(tree, numpy.ndarray) else []


def test_outliers_change_no_logit_and_spoil_coarse_activations_only():
    decoder = build(SHAPES)
    spiky = with_outliers(decoder, share=0.05, times=50)
    numpy.testing.assert_allclose(logits(spiky), logits(decoder), rtol=1e-9, atol=1e-9)
    exact = logits(decoder)

    def off(one, scheme, activations):
        rough = logits(quantized(one, scheme, activations)[0])
        return float(numpy.sqrt(((rough - exact) ** 2).mean() / (exact**2).mean()))

    assert off(spiky, SCHEMES["int8"], SCHEMES["int8"]) > 2 * off(decoder, SCHEMES["int8"], SCHEMES["int8"])
    numpy.testing.assert_array_equal(logits(with_outliers(decoder, 0, 50)), logits(decoder))


def test_tokens_are_rounded_one_by_one():
    x = numpy.array([[1.0, 0.5, 0.25], [1000.0, 500.0, 3.0]])
    alone = rounded_tokens(x[:1], SCHEMES["int8"])
    numpy.testing.assert_array_equal(rounded_tokens(x, SCHEMES["int8"])[:1], alone)


@pytest.mark.parametrize("array, told", [(numpy.ones(3), "shape \\(3,\\)"), (numpy.ones((0, 3)), "at least one"),
                                         ([[1.0, math.inf]], "infinite or missing"), ([[math.nan]], "infinite or missing")])
def test_arrays_that_make_no_sense_are_refused(array, told):
    with pytest.raises(QuantizingError, match=told):
        encode(array, SCHEMES["int8"])


def test_schemes_and_outliers_that_make_no_sense_are_refused():
    with pytest.raises(QuantizingError, match="element 'int3' with scale 'fp16'; elements are int8"):
        Scheme("int3", "fp16")
    with pytest.raises(QuantizingError, match="groups of -1"):
        dataclasses.replace(SCHEMES["int8"], group_rows=-1)
    with pytest.raises(QuantizingError, match="share 2"):
        with_outliers(build(SHAPES), 2, 3)
    with pytest.raises(QuantizingError, match="dense decoders"):
        with_outliers(build(scaled(MODELS["deepseek_v3"].facts)), 0.1, 3)


# --- speed -------------------------------------------------------------------------------------------------

DENSE = [key for key in MODELS if MODELS[key].facts["n_experts"] == 1]


@pytest.mark.parametrize("key", DENSE)
@pytest.mark.parametrize("gpu", ["h100_sxm", "b200_sxm"])
def test_crossover_in_closed_form_is_where_the_steps_cross(key, gpu):
    """Four-bit weights multiplied in 16 bits, against FP8 multiplied in FP8: by bisection, and by the formula."""
    context, common = 1024, {"n_gpus": 1, "kv_bytes_per_element": 1, "state_bytes_per_element": 4, "context": 1024}
    model = MODELS[key]

    def parts(width, form):
        facts = GPUS[gpu].computing_in(form)
        given = dict(common, weight_bytes_per_param=width)
        return (at(engine_steps.weight_step_seconds, model, facts, ASSUMED, batch=1, **{k: v for k, v in given.items() if k in ("n_gpus", "weight_bytes_per_param")}),
                at(quantization.sequence_reading_seconds, model, facts, ASSUMED, **{k: v for k, v in given.items() if k != "weight_bytes_per_param"}),
                at(quantization.token_computing_seconds, model, facts, ASSUMED, n_gpus=1, context=context))

    narrow, other = parts(BYTES_PER_ELEMENT["int4_g128"], "bf16"), parts(1, "fp8")
    crossing = quantization.slower_from_batch(other[0], narrow[1], narrow[2])

    def behind(batch):
        return quantization.narrow_step_seconds(batch, *narrow) > quantization.narrow_step_seconds(batch, *other)

    if math.isinf(crossing):
        assert not behind(1e7)
        return
    low, high = 1e-6, 1e7
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if behind(middle) else (middle, high)
    assert crossing == pytest.approx(high, rel=1e-9)


def test_without_overheads_the_narrow_step_is_the_least_step():
    model, gpu = MODELS["llama_3_1_8b"], GPUS["h100_sxm"].computing_in("bf16")
    ideal = {"bandwidth_efficiency": 1, "compute_efficiency": 1}
    for batch in (1, 30, 3000):
        ours = at(quantization.narrow_step_seconds, model, gpu, ideal, n_gpus=1, batch=batch, context=700, weight_bytes_per_param=2,
                  kv_bytes_per_element=2, state_bytes_per_element=4)
        assert ours == pytest.approx(at(phases.decode_step_seconds, model, gpu, n_gpus=1, batch=batch, context=700, weight_bytes_per_param=2,
                                        kv_bytes_per_element=2, state_bytes_per_element=4), rel=1e-12)


def test_break_even_is_when_the_investment_is_saved():
    for investment, rent, share in ((10_000, 0.01, 0.5), (1, 1, 0.01)):
        saved = quantization.rent_saved(rent, share)
        when = quantization.payback_seconds(investment, saved)
        assert quantization.return_on_investment(investment, saved, when) == pytest.approx(0, abs=1e-12)
        assert economics.period_usd(saved, when) == pytest.approx(investment)
    assert math.isinf(quantization.payback_seconds(1, 0))
