"""The operations of a decoder, one function each: what is not a matrix product with a weight.

Activations are arrays [sequences, tokens, width], or [sequences, heads, tokens, width] inside attention.
"""

import numpy

EPSILON = 1e-6


def rms_norm(x, weight):
    """`x` [..., width] divided by the root of its mean square, times `weight` [width]. Source: Zhang and Sennrich 2019."""
    mean_square = (x * x).sum(axis=-1, keepdims=True) / x.shape[-1]
    return x / numpy.sqrt(mean_square + EPSILON) * weight


def layer_norm(x, weight, bias):
    """`x` [..., width] with mean 0 and variance 1, times `weight`, plus `bias`. Source: Ba 2016."""
    centered = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = (centered * centered).sum(axis=-1, keepdims=True) / x.shape[-1]
    return centered / numpy.sqrt(variance + EPSILON) * weight + bias


def l2_norm(x):
    """`x` [..., width] with length 1."""
    return x / numpy.sqrt((x * x).sum(axis=-1, keepdims=True) + EPSILON)


def add_bias(x, bias):
    """`x` plus `bias`."""
    return x + bias


def add_residual(x, change):
    """The residual stream after a sublayer."""
    return x + change


def rotate(x, cosine, sine):
    """Rotary position embedding: turn each pair (i, i + width/2) of `x` [..., tokens, width] by its angle.

    `cosine` and `sine` are [tokens, width/2]. Source: Su 2021, in the half-split order of the Llama weights on
    Hugging Face.
    """
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    return numpy.concatenate([left * cosine - right * sine, left * sine + right * cosine], axis=-1)


def swiglu(gate, up):
    """SiLU of the gate, times the up projection. Source: Shazeer 2020."""
    return gate / (numpy.exp(-gate) + 1) * up


def gelu(x):
    """GELU in its tanh form. Source: Hendrycks and Gimpel 2016."""
    return x * 0.5 * (numpy.tanh((x * x * x * 0.044715 + x) * 0.7978845608) + 1)


def silu(x):
    """`x` times its logistic function."""
    return x / (numpy.exp(-x) + 1)


def sigmoid(x):
    """The logistic function."""
    return 1 / (numpy.exp(-x) + 1)


def gate_output(x, gate):
    """`x` times the logistic function of `gate`."""
    return x / (numpy.exp(-gate) + 1)


def softmax(x):
    """Exponentials of `x` over their sum, along the last axis."""
    exponentials = numpy.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def split_heads(x, n_heads):
    """[sequences, tokens, heads x width] as [sequences, heads, tokens, width]."""
    return x.reshape(*x.shape[:2], n_heads, -1).swapaxes(1, 2)


def merge_heads(x):
    """[sequences, heads, tokens, width] as [sequences, tokens, heads x width]."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)
