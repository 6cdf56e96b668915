"""Arrays in few bits, for real: codes packed to the byte, scales beside them, and the numbers that come back.

A weight is [inner, columns]. A group of its elements shares a scale: the largest of them lands on the largest code, or, where the
scale is a power of two, near it.
Sources: OCP Microscaling Formats 1.0 (E2M1 and E4M3 with E8M0 scales), OCP FP8 (E4M3), NVIDIA's NVFP4, Frantar 2022 and Lin 2023
(4-bit integers in groups of 128), Dettmers 2022 (8-bit integers by channel and token).

    >>> stored = encode(numpy.array([[0.5, -1.0], [0.25, 2.0]]), SCHEMES["int8"])
    >>> stored.nbytes, stored.decode().round(2).tolist()
    (12, [[0.5, -1.01], [0.25, 2.0]])
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy


class QuantizingError(ValueError):
    """An array or a scheme that cannot be quantized: the message says what was given and what is needed."""


def _float_codes(exponent_bits: int, mantissa_bits: int, bias: int, most: float) -> numpy.ndarray:
    """The values of a small float from code 0 on, without sign, up to its largest finite one."""
    codes = numpy.arange(2 ** (exponent_bits + mantissa_bits))
    exponent, mantissa = codes >> mantissa_bits, codes & (2**mantissa_bits - 1)
    whole = mantissa / 2**mantissa_bits
    values = numpy.where(exponent == 0, whole * 2.0 ** (1 - bias), (1 + whole) * 2.0 ** (exponent - bias))
    return values[values <= most]


ELEMENTS: dict[str, tuple[int, numpy.ndarray]] = {
    "int8": (8, numpy.arange(128.0)),
    "int4": (4, numpy.arange(8.0)),
    "e4m3": (8, _float_codes(4, 3, 7, 448.0)),
    "e2m1": (4, _float_codes(2, 1, 1, 6.0)),
}
"""Formats of an element: its bits, and its values without sign, smallest first. The sign takes the highest bit."""

SCALES = {"fp32": 4, "fp16": 2, "e4m3": 1, "e8m0": 1}
"""Formats of a scale, and its bytes."""


@dataclass(frozen=True)
class Scheme:
    """How an array is quantized.

    Attributes
    ----------
    element : one of `ELEMENTS`
    scale : one of `SCALES`
    group_rows, group_columns : elements that share a scale along the inner width and along the columns; 0 is all of them
    tensor_scale : whether one more scale in FP32 serves the whole array, so that the others fit their format
    """

    element: str
    scale: str
    group_rows: int = 0
    group_columns: int = 1
    tensor_scale: bool = False

    def __post_init__(self):
        if self.element not in ELEMENTS or self.scale not in SCALES:
            raise QuantizingError(f"element {self.element!r} with scale {self.scale!r}; elements are {', '.join(ELEMENTS)}, scales "
                                  f"{', '.join(SCALES)}")
        if min(self.group_rows, self.group_columns) < 0:
            raise QuantizingError(f"groups of {self.group_rows} x {self.group_columns}; each is 1 or more, or 0 for all")


SCHEMES: dict[str, Scheme] = {
    "int8": Scheme("int8", "fp32"),
    "fp8": Scheme("e4m3", "fp32", group_columns=0),
    "fp8_block": Scheme("e4m3", "fp32", 128, 128),
    "int4_g128": Scheme("int4", "fp16", 128),
    "int4_g32": Scheme("int4", "fp16", 32),
    "mxfp8": Scheme("e4m3", "e8m0", 32),
    "mxfp4": Scheme("e2m1", "e8m0", 32),
    "nvfp4": Scheme("e2m1", "e4m3", 16, tensor_scale=True),
}
"""Schemes by the name that `llmcost.precision.FORMATS` has for them; integers in eight bits have a scale for each column."""


@dataclass(frozen=True)
class Stored:
    """A quantized array: bytes of packed codes, scales as they are kept, and what it takes to read them."""

    codes: numpy.ndarray
    scales: numpy.ndarray
    tensor_scale: float
    shape: tuple[int, int]
    scheme: Scheme

    @property
    def nbytes(self) -> int:
        """Bytes of codes and scales."""
        return self.codes.nbytes + self.scales.nbytes + (4 if self.scheme.tensor_scale else 0)

    def decode(self) -> numpy.ndarray:
        """The numbers that the codes stand for [inner, columns]."""
        bits, values = ELEMENTS[self.scheme.element]
        codes = self.codes if bits == 8 else _unpacked(self.codes, self.shape[0] * self.shape[1])
        sign = numpy.where(codes >> (bits - 1), -1.0, 1.0)
        numbers = (sign * values[codes & (2 ** (bits - 1) - 1)]).reshape(self.shape)
        return numbers * _spread(_scale_values(self.scales, self.scheme) * self.tensor_scale, self.shape, self.scheme)


def encode(array, scheme: Scheme) -> Stored:
    """`array` [inner, columns] in the codes and scales of `scheme`, each element to the nearest value, ties to even codes.

    Raises `QuantizingError` for an array of another shape, an empty one, one with numbers that are not finite, or one with numbers so
    large that a scale does not fit its format.
    """
    array = numpy.asarray(array, dtype=float)
    if array.ndim != 2 or not array.size or not numpy.isfinite(array).all():
        raise QuantizingError(f"an array of shape {array.shape}{'' if numpy.isfinite(array).all() else ' with infinite or missing numbers'}; "
                              f"it must be [inner, columns] of finite numbers, at least one")
    bits, values = ELEMENTS[scheme.element]
    largest = _largest(numpy.abs(array), scheme)
    tensor_scale = 1.0
    with numpy.errstate(over="ignore", invalid="ignore"):
        if scheme.tensor_scale:  # the largest scale of a group lands on the largest number of its format
            tensor_scale = float(numpy.float32(largest.max() / (values[-1] * ELEMENTS["e4m3"][1][-1]))) or 1.0
        scales = _kept_scales(largest / tensor_scale, scheme)
        kept = _scale_values(scales, scheme) * tensor_scale
    if not numpy.isfinite(kept).all():
        raise QuantizingError(f"the largest element is {largest.max():.6g}; with elements in {scheme.element} its scale does not fit "
                              f"{'fp32' if scheme.tensor_scale else scheme.scale}")
    spread = _spread(kept, array.shape, scheme)
    codes = _nearest(numpy.abs(array) / numpy.where(spread > 0, spread, 1), values) | (numpy.signbit(array).astype(numpy.uint8) << (bits - 1))
    return Stored(codes.ravel() if bits == 8 else _packed(codes.ravel()), scales, tensor_scale, array.shape, scheme)


def _groups(shape, scheme):
    """Rows and columns of one group, for an array of `shape`."""
    return scheme.group_rows or shape[0], scheme.group_columns or shape[1]


def _largest(sizes, scheme):
    """The largest element of each group [groups of rows, groups of columns]; the last group may be smaller."""
    rows, columns = _groups(sizes.shape, scheme)
    by_rows = numpy.maximum.reduceat(sizes, numpy.arange(0, sizes.shape[0], rows), axis=0)
    return numpy.maximum.reduceat(by_rows, numpy.arange(0, sizes.shape[1], columns), axis=1)


def _spread(scales, shape, scheme):
    """The scale of each element."""
    rows, columns = _groups(shape, scheme)
    return numpy.repeat(numpy.repeat(scales, rows, axis=0)[:shape[0]], columns, axis=1)[:, :shape[1]]


def _kept_scales(largest, scheme):
    """Scales as they are written, for the largest element of each group: floats, or codes of a float of eight bits."""
    most = ELEMENTS[scheme.element][1][-1]
    if scheme.scale == "e8m0":  # OCP: the power of two of the largest element, less that of the largest value of the format
        power = _power(numpy.where(largest > 0, largest, 1)) - _power(most)
        return numpy.clip(power + 127, 0, 255).astype(numpy.uint8)  # 255 is no number
    wanted = largest / most
    if scheme.scale == "e4m3":
        return _nearest(wanted, ELEMENTS["e4m3"][1])
    return wanted.astype(numpy.float16 if scheme.scale == "fp16" else numpy.float32)


def _power(sizes):
    """The largest whole power of two that is not above each of `sizes`, exactly."""
    return numpy.frexp(sizes)[1] - 1


def _scale_values(scales, scheme):
    if scheme.scale == "e8m0":
        return numpy.where(scales < 255, 2.0 ** (scales.astype(float) - 127), numpy.nan)
    return ELEMENTS["e4m3"][1][scales] if scheme.scale == "e4m3" else scales.astype(float)


def _nearest(sizes, values):
    """Codes of the nearest of `values`; a number in the middle goes to the even code, one beyond the end to the last."""
    above = numpy.clip(numpy.searchsorted(values, sizes), 1, len(values) - 1)
    left, right = sizes - values[above - 1], values[above] - sizes
    up = (right < left) | ((right == left) & (above % 2 == 0))
    return numpy.where(up, above, above - 1).astype(numpy.uint8)


def _packed(codes):
    """Two codes of four bits in a byte, the first in the low half."""
    padded = numpy.append(codes, numpy.zeros(len(codes) % 2, dtype=numpy.uint8))
    return padded[::2] | (padded[1::2] << 4)


def _unpacked(packed, count):
    return numpy.stack([packed & 15, packed >> 4], axis=1).ravel()[:count]


# --- a model in few bits ---------------------------------------------------------------------------------

class _Rounding(numpy.ndarray):
    """A weight whose product rounds what it is multiplied with, token by token, as engines do with activations."""

    def __array_finalize__(self, source):
        self.activations = getattr(source, "activations", None)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [numpy.asarray(one) for one in inputs]
        if ufunc is numpy.matmul and method == "__call__" and isinstance(inputs[1], _Rounding) and inputs[1].activations:
            plain[0] = rounded_tokens(plain[0], inputs[1].activations)
        return getattr(ufunc, method)(*plain, **kwargs)


def rounded_tokens(x, scheme: Scheme):
    """`x` [..., width] as it comes back from `scheme`, in which every token has scales of its own."""
    rows = numpy.asarray(x, dtype=float).reshape(-1, x.shape[-1])
    scheme = replace(scheme, group_columns=1)
    pieces = rows[:, None] if scheme.tensor_scale else [rows]  # that scale serves a whole array, so each token is one
    return numpy.concatenate([encode(piece.T, scheme).decode().T for piece in pieces]).reshape(x.shape)


def quantized(decoder, weights: Scheme, activations: Scheme | None = None):
    """`decoder`, of `llmcost.reference_model`, with the matrices of its blocks in few bits, and what they are stored as.

    Embedding, LM head, norms, biases and routers stay as they are, as in published checkpoints. With `activations`, what meets a
    quantized matrix is rounded too. Returns the decoder and the stored matrices by name.
    """
    stored: dict[str, Stored] = {}

    def convert(value, name):
        if isinstance(value, Mapping):
            return {key: convert(one, f"{name}.{key}" if name else key) for key, one in value.items()}
        if isinstance(value, list):
            return [convert(one, f"{name}.{i}") for i, one in enumerate(value)]
        if not isinstance(value, numpy.ndarray) or value.ndim not in (2, 3) or "router" in name or "residual" in name:
            return value
        planes = value.reshape(-1, *value.shape[-2:])
        pieces = [encode(plane, weights) for plane in planes]
        stored.update({f"{name}.{i}" if value.ndim == 3 else name: piece for i, piece in enumerate(pieces)})
        found = numpy.stack([piece.decode() for piece in pieces]).reshape(value.shape)
        if activations:
            found = found.view(_Rounding)
            found.activations = activations
        return found

    layers = [convert(layer, f"layers.{i}") for i, layer in enumerate(decoder.weights["layers"])]
    return replace(decoder, weights={**decoder.weights, "layers": layers}), stored


def with_outliers(decoder, share: float, times: float, seed: int = 0):
    """`decoder` with the same logits, and some channels of its normalized stream `times` as large as before.

    A `share` of the channels leave each norm larger, and the rows of the matrices that read them are smaller by as much:
    that gives the activations outliers as trained models have them, which SmoothQuant moves back. For dense decoders with keys
    and values of their own.

    Raises `QuantizingError` for a share outside 0 to 1, a factor that is not positive, or a decoder of another kind.
    """
    if not 0 <= share <= 1 or not 0 < times < numpy.inf:
        raise QuantizingError(f"share {share!r} and times {times!r}; a share is from 0 to 1, a factor above 0")
    width = decoder.shapes["d_model"]
    factor = numpy.ones(width)
    factor[numpy.random.default_rng(seed).permutation(width)[:round(share * width)]] = times
    readers = {"attention_norm": ("attention", ("query", "key", "value")), "mlp_norm": ("mlp", ("gate", "up"))}

    def moved(layer):
        if not (set(readers) <= set(layer) and all(set(names) <= set(layer[part]) for part, names in readers.values())):
            raise QuantizingError("outliers are moved in dense decoders with query, key and value, gate and up; this one has "
                                  f"{', '.join([*layer['attention'], *layer['mlp']])}")
        found = dict(layer)
        for norm, (part, names) in readers.items():
            found[norm] = {name: value * factor for name, value in layer[norm].items()}
            found[part] = {**layer[part], **{name: layer[part][name] / factor[:, None] for name in names}}
        return found

    return replace(decoder, weights={**decoder.weights, "layers": [moved(layer) for layer in decoder.weights["layers"]]})
