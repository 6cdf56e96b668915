"""What runs beside the layers from the embedding to the logits: one residual stream, several, or a choice of earlier ones.

A sublayer reads its input from a stream and writes its change to it. `Stream` is what nearly every decoder has.
`Streams` are the hyper-connections of DeepSeek-V4, `EarlierStreams` the attention residuals of Kimi K3, each as
in the released inference code.
"""

import numpy

from .parts import EPSILON, add_residual, rms_norm, sigmoid, softmax

SINKHORN_STEPS = 20
"""Source: DeepSeek-V4, released inference code, hc_sinkhorn_iters."""


class Stream:
    """One residual stream, which begins as the embedding `x` [sequences, tokens, d_model]."""

    def __init__(self, x):
        self.x = x

    def read(self, w):
        """The input of a sublayer, `w` the weights that its stream needs."""
        return self.x

    def write(self, change):
        """Add what a sublayer gave."""
        self.x = add_residual(self.x, change)

    def last(self, w, every):
        """What becomes logits: of every token, or of the last one [sequences, d_model]."""
        return self.x if every else self.x[:, -1]


class Streams(Stream):
    """Several streams [sequences, tokens, streams, d_model], joined for each sublayer and mixed after it.

    How is computed from the streams themselves. Source: Xie 2025 (manifold-constrained hyper-connections), DeepSeek-V4.
    """

    def __init__(self, x, n_streams):
        super().__init__(numpy.repeat(x[:, :, None], n_streams, axis=2))

    def read(self, w):
        """The streams added up, each with its weight."""
        entering, self.leaving, self.mixing = connections(self.x, w)
        return join_streams(self.x, entering)

    def write(self, change):
        """Mix the streams, and add to each its share of the change."""
        self.x = mix_streams(self.x, self.mixing, change, self.leaving)

    def last(self, w, every):
        """The streams added up, with weights of their own."""
        x = super().last(w, every)
        return join_streams(x, last_connections(x, w))


class EarlierStreams(Stream):
    """A stream that starts anew every `block` layers; sublayers attend to where it stands and to where earlier ones ended.

    Source: Kimi K3, released modeling code, attn_res_block_size.
    """

    def __init__(self, x, block):
        super().__init__(x)
        self.block, self.earlier, self.sublayers = block, [], 0

    def read(self, w):
        """A mean of the streams, weighted by a softmax. Before the first layer there is one."""
        found = self._attend(self.x, self.earlier, w) if self.earlier else self.x
        if self.sublayers % (2 * self.block) == 0:
            self.earlier, self.x = [*self.earlier, self.x], None
        self.sublayers += 1
        return found

    def write(self, change):
        """Add the change, or begin with it."""
        self.x = change if self.x is None else add_residual(self.x, change)

    def last(self, w, every):
        """One more mean of the streams."""
        x, *earlier = (at if every else at[:, -1] for at in (self.x, *self.earlier))
        return self._attend(x, earlier, w)

    def _attend(self, x, earlier, w):
        streams = numpy.stack([*earlier, x], axis=-2)
        scores = rms_norm(streams, w["stream_norm"]) @ w["stream_query"]
        return join_streams(streams, softmax(scores[..., 0]))


def stream(x, s):
    """The stream of a decoder of shapes `s`, at its embedding `x`."""
    if s["n_residual_streams"]:
        return Streams(x, s["n_residual_streams"])
    return EarlierStreams(x, s["residual_block"]) if s["n_residual_vectors"] else Stream(x)


def weights(draw, s, last=False):
    """What the stream needs for one sublayer, or for the `last` read; nothing where there is one stream."""
    n, d_model = s["n_residual_streams"], s["d_model"]
    if n:
        outputs = n if last else (2 + n) * n
        return {"connect": draw(n * d_model, outputs), "connect_scale": draw(1 if last else 3), "connect_bias": draw(outputs)}
    return {"stream_norm": draw(d_model), "stream_query": draw(d_model, 1)} if s["n_residual_vectors"] else {}


def connections(streams, w):
    """Weights of the streams on their way in [..., streams], of the change on its way out, and between streams.

    The latter [..., streams, streams] are doubly stochastic.
    """
    n, found = streams.shape[-2], stream_products(streams, w)
    entering, leaving, mixing = (found[..., part] * w["connect_scale"][i:i + 1] + w["connect_bias"][part]
                                 for i, part in enumerate((slice(n), slice(n, 2 * n), slice(2 * n, None))))
    return sigmoid(entering) + EPSILON, sigmoid(leaving) * 2, doubly_stochastic(mixing.reshape(*mixing.shape[:-1], n, n))


def last_connections(streams, w):
    """Weights of the streams [..., streams] before the logits."""
    return sigmoid(stream_products(streams, w) * w["connect_scale"] + w["connect_bias"]) + EPSILON


def stream_products(streams, w):
    """A product with all streams side by side, divided by the root of their mean square."""
    flat = streams.reshape(*streams.shape[:-2], -1)
    return flat @ w["connect"] / root_mean_square(flat)


def root_mean_square(x):
    """The root of the mean square of `x` [..., width], as [..., 1]."""
    return numpy.sqrt((x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + EPSILON)


def doubly_stochastic(x):
    """Positive numbers in place of `x` [..., n, n] that add up to 1, nearly, by row and by column. Source: Sinkhorn 1967."""
    x = softmax(x) + EPSILON
    x = x / (x.sum(axis=-2, keepdims=True) + EPSILON)
    for _ in range(SINKHORN_STEPS - 1):
        x = x / (x.sum(axis=-1, keepdims=True) + EPSILON)
        x = x / (x.sum(axis=-2, keepdims=True) + EPSILON)
    return x


def join_streams(streams, weight):
    """The sum of `streams` [..., streams, d_model], weighted [..., streams]."""
    return (weight[..., None, :] @ streams)[..., 0, :]


def mix_streams(streams, mixing, change, leaving):
    """Each stream as a sum of all, weighted by its column of `mixing`, plus `change` times its weight in `leaving`."""
    return mixing.swapaxes(-1, -2) @ streams + leaving[..., None] * change[..., None, :]
