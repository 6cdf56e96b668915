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


def scale_numbers(stored):
    """The scales of `stored` as numbers, by the definitions of their formats."""
    form = stored.scheme.scale
    numbers = (2.0 ** (stored.scales.astype(float) - 127) if form == "e8m0"
               else ELEMENTS["e4m3"][1][stored.scales] if form == "e4m3" else stored.scales.astype(float))
    return numbers * stored.tensor_scale


def largest_of_groups(sizes, scheme):
    rows, columns = scheme.group_rows or sizes.shape[0], scheme.group_columns or sizes.shape[1]
    return numpy.array([[sizes[i:i + rows, j:j + columns].max() for j in range(0, sizes.shape[1], columns)]
                        for i in range(0, sizes.shape[0], rows)])


def by_element(of_groups, shape, scheme):
    rows, columns = scheme.group_rows or shape[0], scheme.group_columns or shape[1]
    return numpy.array([[of_groups[i // rows, j // columns] for j in range(shape[1])] for i in range(shape[0])])


# Worked out by hand. Each first group has its largest element, two ties (to the even code, once down and once up), a negative tie that
# goes to minus zero, a small number that an outlier drives to zero, and, where codes have four bits, the most negative one. A group of
# zeros comes last. Four-bit codes of the first group are 7 2 4 8 0 15 in each case, so the bytes are 27 84 f0, the first code low.
#
# int8: scale 127/127 = 1.                      2.5 -> 2, 3.5 -> 4, -0.5 -> -0 (80), 0.4 -> 0, -127 -> ff
# int4: scale 3.5/7 = 0.5, in FP16 00 38.       1.25/0.5 = 2.5 -> 2, 1.75/0.5 = 3.5 -> 4, -0.25/0.5 -> -0, 0.2/0.5 -> 0
# mxfp4: 100 is in [2^6, 2^7), 6 in [2^2, 2^3): scale 2^4, byte 127 + 4 = 131.
#        100/16 = 6.25 -> 6 (7), 20/16 = 1.25 -> 1 (2), 28/16 = 1.75 -> 2 (4), -4/16 = -0.25 -> -0, 3/16 -> 0, -96/16 = -6 (15)
# mxfp8: 1000 is in [2^9, 2^10), 448 in [2^8, 2^9): scale 2, byte 128. E4M3 from 16 to 32 goes in twos, from code 11 x 8 = 88 on.
#        1000/2 = 500 -> 448 (7e), 34/2 = 17 -> 16 (58), 38/2 = 19 -> 20 (5a), -2^-9/2 = -2^-10 -> -0 (80), 3 x 2^-9 -> code 3
# nvfp4: tensor scale 1344/(6 x 448) = 0.5. First group: 1344/6/0.5 = 448, code 126; a code stands for 0.5 x 448 = 224 times its value.
#        280/224 = 1.25 -> 1 (2), 392/224 = 1.75 -> 2 (4), -56/224 = -0.25 -> -0, 50/224 -> 0
#        Second group: 51/6/0.5 = 17 -> 16 (88), so a code stands for 8: 51/8 -> 6 (7), 12/8 = 1.5 (3)
# fp8: scale 896/448 = 2, then as in mxfp8.
GOLDEN = {
    "int8": ([127, 2.5, 3.5, -0.5, 0.4, -127], "7f 02 04 80 00 ff", [1.0], 1.0),
    "int4_g32": ([3.5, 1.25, 1.75, -0.25, 0.2, -3.5] + 58 * [0], "27 84 f0" + 29 * " 00", [0.5, 0.0], 1.0),
    "mxfp4": ([100, 20, 28, -4, 3, -96] + 58 * [0], "27 84 f0" + 29 * " 00", [131, 125], 1.0),
    "mxfp8": ([1000, 34, 38, -2.0**-9, 3 * 2.0**-8] + 59 * [0], "7e 58 5a 80 03" + 59 * " 00", [128, 119], 1.0),
    "nvfp4": ([1344, 280, 392, -56, 50, -1344] + 10 * [0] + [51, 12] + 30 * [0],
              "27 84 f0" + 5 * " 00" + " 37" + 15 * " 00", [126, 88, 0], 0.5),
    "fp8": ([896, 34, 38, -2.0**-9, 3 * 2.0**-8, 0], "7e 58 5a 80 03 00", [2.0], 1.0),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_codes_and_scales_are_those_worked_out_by_hand(name):
    numbers, codes, scales, tensor_scale = GOLDEN[name]
    stored = encode(numpy.array(numbers, dtype=float)[:, None], SCHEMES[name])
    assert stored.codes.tobytes() == bytes.fromhex(codes)
    assert (stored.scales.ravel().tolist(), stored.tensor_scale) == (scales, tensor_scale)
    assert stored.scales.dtype == {"fp32": "float32", "fp16": "float16"}.get(SCHEMES[name].scale, "uint8")


@every_scheme
def test_zeros_stay_zeros(name):
    stored = encode(numpy.zeros((40, 3)), SCHEMES[name])
    assert not stored.codes.any() and not stored.decode().any() and (SCHEMES[name].scale == "e8m0" or not stored.scales.any())


@pytest.mark.parametrize("name, largest, form", [("int4_g128", 1e6, "fp16"), ("int4_g32", -1e6, "fp16"), ("int8", 1e300, "fp32"),
                                                 ("nvfp4", 1e300, "fp32"), ("mxfp4", 1e300, "e8m0")])
def test_a_scale_that_does_not_fit_its_format_is_refused(name, largest, form):
    told = f"largest element is {abs(largest):.6g}; .* does not fit {form}".replace("+", "[+]")
    with pytest.raises(QuantizingError, match=told):
        encode([[largest], [3]], SCHEMES[name])


@every_scheme
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_was_rounded_once_stays_and_errors_are_bounded(name, data):
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 9)))
    array = data.draw(arrays(float, shape, elements=st.floats(-8, 8, width=16)))
    scheme = SCHEMES[name]
    stored = encode(array, scheme)
    back = stored.decode()
    values, sizes = ELEMENTS[scheme.element][1], numpy.abs(array)
    largest, scales = (by_element(one, shape, scheme) for one in (largest_of_groups(sizes, scheme), scale_numbers(stored)))
    wanted, step = largest / values[-1], stored.tensor_scale  # of a scale in E4M3, whose smallest number is 2^-9
    if scheme.scale == "e8m0":  # a power of two that leaves the largest element within a factor of two of the largest power
        assert ((scales * 2.0 ** math.floor(math.log2(values[-1])) <= largest) | (largest == 0)).all()
        assert (scales * 2.0 ** math.floor(math.log2(values[-1])) * 2 > largest).all()
    else:
        relative, least = {"fp32": (2.0**-24, 2.0**-150), "fp16": (2.0**-11, 2.0**-25), "e4m3": (2.0**-4, 2.0**-10 * step)}[scheme.scale]
        assert (numpy.abs(scales - wanted) <= (relative + 1e-6) * wanted + least * (1 + 1e-6)).all()
    place = numpy.clip(numpy.searchsorted(values, sizes / numpy.where(scales > 0, scales, 1)), 1, len(values) - 1)
    half_gap = (values[place] - values[place - 1]) / 2 * scales
    beyond = numpy.maximum(sizes - values[-1] * scales, 0)  # cut off, where a scale is smaller than what was wanted
    assert (numpy.abs(back - array) <= numpy.maximum(half_gap, beyond) * (1 + 1e-9)).all()
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
    assert errors["nvfp4"] < errors["mxfp4"] and errors["mxfp8"] < errors["int4_g32"]
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


@every_scheme
def test_tokens_are_rounded_one_by_one(name, rng):
    x = rng.normal(size=(2, 3, 150)) * 10.0 ** numpy.arange(-3, 3).reshape(2, 3, 1)
    together = rounded_tokens(x, SCHEMES[name])
    for i, j in numpy.ndindex(2, 3):
        numpy.testing.assert_array_equal(together[i, j], rounded_tokens(x[i, j], SCHEMES[name]))


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
