"""A small but real decoder: the same shapes as the models of the catalog, random weights, NumPy only.

    >>> layers = [{"attention": "full", "n_kv_heads": 2, "d_head": 8, "n": 3}]
    >>> decoder = build({"d_model": 48, "n_layers": 3, "n_heads": 4, "d_ff": 96, "vocab_size": 256, "layers": layers})
    >>> cache = decoder.empty_cache(batch=1)
    >>> logits = decoder.forward([[1, 2, 3]], cache)
    >>> logits.shape, cache.length
    ((1, 256), 3)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy

from . import compressed_attention, latent_attention, mixture, recurrent_attention, residuals, softmax_attention
from .checks import ReferenceError, check, check_count
from .parts import add_bias, layer_norm, rms_norm


@dataclass(frozen=True)
class Kind:
    """How one kind of layer of shapes `s` runs.

    Attributes
    ----------
    weights : arrays by name, from (draw, d_model, n_heads, s), where `draw(*shape)` gives random arrays
    empty_cache : arrays by name before the first token, from (batch, s)
    attention : what the layer adds to the stream, from (x, w, s, cache, step); what is new is appended to `cache`
    """

    weights: Callable
    empty_cache: Callable
    attention: Callable


_softmax = Kind(softmax_attention.weights, softmax_attention.empty_cache, softmax_attention.attention)
_compressed = Kind(compressed_attention.weights, compressed_attention.empty_cache, compressed_attention.attention)
KINDS: dict[str, Kind] = {
    "full": _softmax, "sliding": _softmax, "chunked": _softmax, "sparse": _softmax,
    "mla": Kind(latent_attention.weights, latent_attention.empty_cache, latent_attention.attention),
    "compressed": _compressed, "shared_window": _compressed,
    "linear": Kind(recurrent_attention.linear_weights, recurrent_attention.linear_cache, recurrent_attention.linear_attention),
    "gated_delta": Kind(recurrent_attention.gated_delta_weights, recurrent_attention.delta_cache,
                        recurrent_attention.delta_attention),
    "kda": Kind(recurrent_attention.kda_weights, recurrent_attention.delta_cache, recurrent_attention.delta_attention),
}


@dataclass(frozen=True)
class Paths:
    """Which of several equal ways of computing to take.

    Attributes
    ----------
    causal : "rows", each query meets only the entries it sees; "square", all, and the mask hides the rest
    mla : "absorbed", attention over latents; "rebuilt", over keys and values of each head
    chunk : tokens that a lightning layer takes at a time: 1 is the recurrence, 0 the whole pass in one masked product
    """

    causal: str = "rows"
    mla: str = "absorbed"
    chunk: int = 1

    def __post_init__(self):
        check_count("chunk", self.chunk, least=0)
        if self.causal not in ("rows", "square") or self.mla not in ("absorbed", "rebuilt"):
            raise ReferenceError(f"no such paths: {self}; causal is rows or square, mla is absorbed or rebuilt")


@dataclass(frozen=True)
class Step:
    """One pass through the layers: its first position, its tokens, and what the layers share."""

    start: int
    tokens: int
    n_heads: int
    paths: Paths

    def angles(self, width, positions=None):
        """Cosine and sine [tokens, width/2] of the rotary embedding at the positions of the pass, or at others."""
        positions = numpy.arange(self.start, self.start + self.tokens) if positions is None else positions
        turns = positions[:, None] * 10_000.0 ** (-numpy.arange(width // 2) * 2 / width)
        return numpy.cos(turns), numpy.sin(turns)


@dataclass
class Cache:
    """What is kept between passes: arrays of each layer by name, and the tokens so far."""

    layers: list
    length: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for layer in self.layers for array in layer.values())


@dataclass(frozen=True)
class Decoder:
    """A decoder: its shapes, its weights as nested mappings of arrays, the longest context it takes."""

    shapes: Mapping
    weights: Mapping
    max_context: int

    @property
    def kinds(self) -> list[Mapping]:
        """The shapes of each layer, first to last."""
        return [group for group in self.shapes["layers"] for _ in range(group["n"])]

    def empty_cache(self, batch: int) -> Cache:
        """The cache of `batch` sequences before their first token.

        Raises `ReferenceError` unless `batch` is a whole number, 1 or more.
        """
        check_count("batch", batch)
        return Cache([KINDS[s["attention"]].empty_cache(batch, s) for s in self.kinds])

    def forward(self, tokens, cache: Cache, paths: Paths = Paths(), every: bool = False):
        """Logits after `tokens` [sequences, tokens], which follow those in `cache`; the cache grows by them.

        Logits are [sequences, vocabulary], of the last token; with `every`, [sequences, tokens, vocabulary].

        Raises `ReferenceError` for tokens out of range, a context past the limit or a cache of another model; the cache is
        then unchanged.
        """
        tokens = self.checked(tokens, cache)
        step = Step(cache.length, tokens.shape[1], self.shapes["n_heads"], paths)
        stream = residuals.stream(self.weights["embedding"][tokens], self.shapes)
        by_token = self.shapes["n_dense_layers"] + self.shapes["n_hash_layers"]  # mixtures before this layer choose experts so
        for i, (w, s, kept) in enumerate(zip(self.weights["layers"], self.kinds, cache.layers)):
            self.block(stream, w, s, kept, step, tokens if i < by_token else None)
        cache.length += step.tokens
        return self.logits(stream, every)

    def logits(self, stream, every):
        """What `forward` returns, from the residual stream after the last layer."""
        x = self.norm(stream.last(self.weights["last_residual"], every), self.weights["norm"])
        logits = x @ self.weights["head"]
        return add_bias(logits, self.weights["head_bias"]) if "head_bias" in self.weights else logits

    def block(self, stream, w, s, kept, step, tokens):
        """One layer of weights `w` and shapes `s` on the residual stream; its cache `kept` grows by the pass.

        `tokens` are the numbers of the tokens where they choose the experts, else None.
        """
        x = self.norm(stream.read(w["attention_residual"]), w["attention_norm"])
        stream.write(KINDS[s["attention"]].attention(x, w["attention"], s, kept, step))
        if "mlp_norm" in w:  # else both halves of the block read the same normalized stream
            x = self.norm(stream.read(w["mlp_residual"]), w["mlp_norm"])
        stream.write(mixture.mixture(x, w["mlp"], self.shapes, tokens) if "router" in w["mlp"] else mixture.mlp(x, w["mlp"]))

    def norm(self, x, w):
        """`x` [..., d_model] through an RMSNorm, or a LayerNorm where it has a bias."""
        return layer_norm(x, w["weight"], w["bias"]) if "bias" in w else rms_norm(x, w["weight"])

    def checked(self, tokens, cache):
        tokens = rows_of(tokens)
        if tokens.dtype.kind not in "iu" or tokens.ndim != 2 or not tokens.size:
            raise ReferenceError(f"tokens of shape {tokens.shape} and type {tokens.dtype}; they must be whole numbers "
                                 f"[sequences, tokens], at least one")
        vocabulary = self.shapes["vocab_size"]
        if tokens.min() < 0 or tokens.max() >= vocabulary:
            raise ReferenceError(f"tokens from {tokens.min()} to {tokens.max()}; the vocabulary has {vocabulary}, so they "
                                 f"must be from 0 to {vocabulary - 1}")
        if cache.length + tokens.shape[1] > self.max_context:
            raise ReferenceError(f"{cache.length} tokens so far and {tokens.shape[1]} more; this decoder was built for "
                                 f"max_context = {self.max_context}: build it with a larger one")
        held = {array.shape[0] for layer in cache.layers for array in layer.values()}
        if held != {len(tokens)}:
            raise ReferenceError(f"tokens of {len(tokens)} sequences, but a cache of {sorted(held)}")
        def widths(layers):  # of what does not grow
            return [{name: (array.shape[1], array.shape[-1]) for name, array in layer.items()} for layer in layers]

        if widths(cache.layers) != widths(self.empty_cache(1).layers):
            raise ReferenceError(f"a cache of another model, of {len(cache.layers)} layers; take one from empty_cache of this "
                                 f"decoder")
        return tokens


def rows_of(tokens):
    """`tokens` as an array [sequences, tokens]; those of one sequence may come without the brackets around it.

    Raises `ReferenceError` for sequences of different lengths.
    """
    try:
        return numpy.atleast_2d(numpy.asarray(tokens))
    except ValueError:
        raise ReferenceError("sequences of different lengths; a pass takes as many tokens of each") from None


def build(shapes: Mapping, seed: int = 0, max_context: int = 4096) -> Decoder:
    """A decoder of `shapes`, as `llmcost.shapes` describes them, with random weights in float64.

    Raises `ReferenceError` for shapes that it cannot run: one that is missing, unknown or no whole number in its range, an
    odd width to rotate, heads that do not share evenly, a kind of layer that is not in it.
    """
    check_count("max_context", max_context)
    s = check(shapes)
    rng = numpy.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape) / numpy.sqrt(shape[-2] if len(shape) > 1 else 1)

    def norm():
        weight = {"weight": 1 + 0.1 * rng.standard_normal(s["d_model"])}
        return {**weight, "bias": 0.1 * rng.standard_normal(s["d_model"])} if s["norm_bias"] else weight

    layers = []
    for i, group in enumerate(one for one in s["layers"] for _ in range(one["n"])):
        dense, by_token = i < s["n_dense_layers"], i < s["n_dense_layers"] + s["n_hash_layers"]
        layer = {"attention_norm": norm(),
                 "attention": KINDS[group["attention"]].weights(draw, s["d_model"], s["n_heads"], group),
                 "mlp": mixture.mlp_weights(draw, s["d_model"], s["d_ff"], s["mlp_gated"], s["mlp_bias"]) if dense
                 else mixture.mixture_weights(draw, {**s, "router_bias": s["router_bias"] and not by_token}),
                 "attention_residual": residuals.weights(draw, s), "mlp_residual": residuals.weights(draw, s)}
        if s["norms_per_layer"] == 2:
            layer["mlp_norm"] = norm()
        layers.append(layer)
    embedding = rng.standard_normal((s["vocab_size"], s["d_model"]))
    weights = {"embedding": embedding, "layers": layers, "norm": norm(), "last_residual": residuals.weights(draw, s, last=True),
               "head": embedding.T if s["tied_embeddings"] else draw(s["d_model"], s["vocab_size"])}
    if s["head_bias"]:
        weights["head_bias"] = draw(s["vocab_size"])
    return Decoder(s, weights, max_context)
