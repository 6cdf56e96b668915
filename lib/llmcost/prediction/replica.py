"""One copy of a model on its GPUs: what fits, and how long a pass takes.

A pass computes `decoding` sequences one token further and some prompt tokens besides. Its time is added up from the products
with weights, in each of which reading and computing overlap, attention, passes over activations, all-reduces or the exchange of
experts, kernels and the host. What does not depend on the pass is computed once, so that a pass is a few dozen operations.

What is built in here besides the twelve constants was chosen by looking at the runs, as the shape of the model was: that products
overlap as the root of a sum of squares, the rows of a tile, the numbers of kernels, the fullest GPU of spread experts. No source has
these numbers, and errors on families left out do not count them. What a large all-reduce takes to start is from tables of kernels.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import hypot, inf, sqrt

from .. import attention_work
from ..shapes import parameters
from .constants import Constants, Engine

BLOCK = 16  # tokens of a page of the cache
RING_STARTS, SWITCH_STARTS = 10, 17  # time of a large all-reduce besides its bytes, over that of a small one: around a ring, in a switch that adds up
TILE_ROWS = 64  # rows of a product with one expert come in tiles of so many
ACTIVATION_BYTES = 2
KERNELS = {"layer": 10, "quantizing": 4, "mla": 3, "mixture": 4, "quantizing experts": 2, "shared experts": 2, "selection": 6}
"""Kernels of a layer, and what it has more: norms, products, attention and activations one each, where an engine fuses what it can."""
PCIE_BANDWIDTH = 70e9  # links below are PCIe, where a signal takes twice as long


@dataclass(frozen=True)
class Placement:
    """How one copy of a model stands on GPUs.

    Attributes
    ----------
    tensor : GPUs that share every matrix of attention
    stages : pipeline stages
    data : groups with attention of their own that share the experts
    experts : GPUs over which whole experts are spread; 1 cuts each of them instead
    """

    tensor: int = 1
    stages: int = 1
    data: int = 1
    experts: int = 1

    @property
    def n_gpus(self) -> int:
        """GPUs of one copy."""
        return self.tensor * self.data * self.stages


@dataclass(frozen=True)
class Formats:
    """Bytes of an element: weights as stored, weights of attention and what all tokens use, caches; and whether products are in 4 bits."""

    weights: float
    common: float
    cache: float
    computed_bits: int


class Replica:
    """Memory and time of one copy. All times are in seconds and include the factor of the engine."""

    def __init__(self, model, gpu, placement: Placement, formats: Formats, constants: Constants, engine: Engine):
        self.model, self.gpu, self.placement, self.formats = model, gpu, placement, formats
        self.constants, self.engine = constants, engine
        self._facts, self._parts = model.facts, _parameters(model)
        self._lay_out()

    # --- what does not depend on the pass --------------------------------------------------------------

    def _lay_out(self):
        facts, parts, k, gpu = self._facts, self._parts, self.constants, self.gpu
        self._bandwidth = gpu.memory_bandwidth * k.bandwidth_share
        self._shared_by = self.placement.tensor  # GPUs that share attention, and what all tokens use
        self._gpus = self.placement.tensor * self.placement.data  # of one stage
        self._mixture = facts["n_experts"] > 1
        self._mixtures = facts["n_layers"] - facts["n_dense_layers"] if self._mixture else 0
        common, weights, head = (self._format(size) for size in (self.formats.common, self.formats.weights, 2.0))
        plain = [parts["attention"], parts["mlp"], parts["shared experts"] + parts["router"]]
        self._products = [(n * common[0] / self._shared_by, 2 * n / self._shared_by / common[1]) for n in plain if n]
        self._head = (facts["n_head_params"] * head[0] / self._shared_by, 2 * facts["n_head_params"] / self._shared_by / head[1])
        each = parts["routed experts"] / facts["n_experts"] / self._gpus
        self._expert = (each * weights[0], 2 * each / (weights[1] * k.grouped_share))
        self._attention_flops = k.attention_share * gpu.facts["peak_flops_bf16"] * self._shared_by
        self._latent = any(group["attention"] == "mla" for group in facts["layers"])
        self._kv_ways = min(self._shared_by, facts["kv_shards"])
        self._fixed_ways = min(self._shared_by, facts["fixed_shards"])
        self._kernels = self._count_kernels()
        self._stream_bytes = facts["d_model"] * ACTIVATION_BYTES
        link = gpu.facts.get("link_bandwidth_per_direction", 32e9)
        ways = self._shared_by
        # Parts of a message on a link: twice around a ring, or to a switch that adds up and back.
        self._ring = 2 * (ways - 1) / ways
        self._in_switch = (ways + 1) / ways if ways > gpu.facts.get("in_switch_above", inf) else inf
        self._link, self._signals = link * k.link_share, 2 if link < PCIE_BANDWIDTH else 1
        self._host, self._host_of_context = (k.host_seconds * times for times in (self.engine.host, self.engine.host_blocks / BLOCK))
        self._token_seconds = self._passing_over()
        self._n_experts, self._chosen = facts["n_experts"], facts["n_active_experts"]
        self._pair_seconds = facts["d_model"] * k.pair_bytes * self._mixtures / self._bandwidth / (
            self._gpus if self.placement.experts > 1 else self.placement.data)
        # Of one sequence on a GPU: bytes for each token that stays, of each that is selected, and what a window or a chunk holds at most.
        size, ways = self.formats.cache, self._kv_ways
        self._growing = (facts["full_elements_per_token"] * size + facts["index_bytes_per_token"]) / ways
        self._selected, self._top_k = facts["sparse_elements_per_token"] * size / ways, facts["index_top_k"]
        self._limited = [(facts[f"{kind}_elements_per_token"] * size / ways, facts[limit]) for kind, limit in (("sliding", "window"), ("chunked", "chunk"))
                         if facts[f"{kind}_elements_per_token"]]

    def _format(self, size: float) -> tuple[float, float]:
        """Seconds to read a parameter, and FLOP/s of products, for weights of so many bytes."""
        k, gpu, read = self.constants, self.gpu, 1 / self._bandwidth
        if size >= 2:
            return size * read, gpu.facts["peak_flops_bf16"] * k.gemm_share_16
        if size >= 1 and "peak_flops_fp8" in gpu.facts:
            return size * read, gpu.peak_flops_fp8 * k.gemm_share_8
        if size < 1 and self.formats.computed_bits == 4 and "peak_flops_fp4" in gpu.facts:
            return size * read, gpu.peak_flops_fp4 * k.gemm_share_4
        if size < 1 and self.formats.computed_bits == 8 and "peak_flops_fp8" in gpu.facts:
            return size * read, gpu.peak_flops_fp8 * k.gemm_share_8
        unpacking = k.gemm_share_8 / k.gemm_share_16 if size < 1 else 1  # narrow weights, 16-bit products
        return size * read / unpacking, gpu.facts["peak_flops_bf16"] * k.gemm_share_16 * unpacking

    def _count_kernels(self) -> int:
        facts, narrow = self._facts, self.formats.weights < 2
        each = KERNELS["layer"] + KERNELS["quantizing"] * (self.formats.common < 2) + KERNELS["mla"] * self._latent
        each += KERNELS["selection"] * (facts["sparse_attention_flops"] > 0)
        mixture = KERNELS["mixture"] + KERNELS["quantizing experts"] * narrow + KERNELS["shared experts"] * (facts["n_shared_experts"] > 0)
        return facts["n_layers"] * each + self._mixtures * mixture

    def _passing_over(self) -> float:
        """Seconds for each token of a group in passes over activations: norms, residuals, heads, the inner layer; and its pairs."""
        facts, gpus = self._facts, self._shared_by
        heads = 3 * facts["n_heads"] * facts.get("d_head", facts.get("d_value", 128)) / gpus
        inner = 3 * (facts["n_active_experts"] * facts["d_expert"] / self._gpus * self.placement.data if self._mixture else facts["d_ff"] / gpus)
        elements = facts["n_layers"] * (6 * facts["d_model"] + heads + inner)
        return elements * ACTIVATION_BYTES / self._bandwidth

    # --- memory ----------------------------------------------------------------------------------------

    @cached_property
    def weight_bytes(self) -> float:
        """Bytes of weights on one GPU."""
        parts, stages = self._parts, self.placement.stages
        tables = (parts["embedding"] + parts["LM head"]) * 2 / self._shared_by
        experts = parts["routed experts"] * self.formats.weights / self._gpus
        common = sum(parts.values()) - parts["embedding"] - parts["LM head"] - parts["routed experts"]
        return (tables + experts + common * self.formats.common / self._shared_by) / stages

    @cached_property
    def room_bytes(self) -> float:
        """Bytes of one GPU for caches; negative where the weights do not fit."""
        engine = self.engine
        if engine.whole_replies:  # takes a share of what is left
            return engine.memory_share * (self.gpu.memory_bytes - self.weight_bytes - engine.reserve_bytes)
        return engine.memory_share * self.gpu.memory_bytes - self.weight_bytes - engine.reserve_bytes

    def capacity(self, prompt_tokens: float, output_tokens: float) -> float:
        """Sequences of one copy that fit at a time; 0 where the weights do not fit."""
        tokens = prompt_tokens + output_tokens * (1 if self.engine.whole_replies else 0.5)
        held = self._cached(tokens, tokens) + self._fixed
        return max(self.room_bytes, 0) / held * self.placement.stages * self.placement.data

    def _cached(self, tokens, selected) -> float:
        """Bytes of entries of one sequence of so many tokens on a GPU, `selected` of them of layers that attend to a selection."""
        entries = self._growing * tokens + self._selected * selected
        for each, limit in self._limited:
            entries += each * min(tokens, limit)
        return entries

    @cached_property
    def _fixed(self) -> float:
        return (self._facts["fixed_state_elements"] * 4 + self._facts["buffer_bytes"]) / self._fixed_ways

    # --- time of a pass ------------------------------------------------------------------------------------

    def pass_seconds(self, decoding: float, context: float = 0.0, prompt_tokens: float = 0.0, prompt_flops: float = 0.0, prompts: float = 0.0,
                     graph: bool = True) -> float:
        """Seconds of one pass of a stage's GPUs over all layers.

        `decoding` sequences of `context` tokens each, and `prompt_tokens` of `prompts` prompts whose attention takes `prompt_flops`; all
        of them of one copy. Without a graph, Python starts the kernels.
        """
        k, data = self.constants, self.placement.data
        tokens = decoding + prompt_tokens
        own = tokens / data
        seconds = 0.0
        for read, compute in self._products:
            seconds += hypot(read, own * compute)
        seconds += hypot(self._head[0], (decoding + prompts) / data * self._head[1])
        if self._mixture:
            seconds += self._experts(tokens)
        seconds += self._attend(decoding / data, context) + prompt_flops / data / self._attention_flops
        seconds += own * self._token_seconds + self._talk(own, tokens)
        if not graph:
            seconds = (seconds**4 + (self._kernels * k.launch_seconds * self.engine.launches) ** 4) ** 0.25
        seconds += self._kernels * k.kernel_seconds + self.host_seconds((decoding + prompts) / data, context)
        return seconds * self.engine.factor

    def _experts(self, tokens):
        n_experts, each = self._n_experts, self._chosen
        touched = n_experts * (1 - (1 - each / n_experts) ** tokens)
        rows = tokens * each + touched * TILE_ROWS / 2  # the last tile of an expert is half empty
        spread = self.placement.experts
        # The fullest GPU has a tenth more than the mean, and with few tokens up to six tenths.
        fullest = 1.1 + 0.5 * min(1.0, sqrt((spread - 1) / (tokens * each))) if spread > 1 else 1.0
        return hypot(touched * self._expert[0], rows * self._expert[1] * fullest) + tokens * each * self._pair_seconds

    def _attend(self, decoding, context):
        if not decoding:
            return 0.0
        reading = (self._cached(context, min(context, self._top_k)) + 2 * self._fixed) / self._bandwidth
        if not self._latent:
            return decoding * reading
        facts = self._facts
        flops = (facts["full_attention_flops"] * context + facts["sparse_attention_flops"] * min(context, facts["index_top_k"])
                 + facts["fixed_attention_flops"])
        return decoding * max(reading, flops / self._attention_flops)

    def _talk(self, own, tokens):
        """Seconds on links: all-reduces of a group, or the way to experts and back where groups have attention of their own."""
        k, layers, gpus = self.constants, self._facts["n_layers"], self._shared_by
        message, seconds = own * self._stream_bytes, 0.0
        if gpus > 1:
            start, share = k.all_reduce_seconds * self._signals, message / self._link
            one = RING_STARTS * start + self._ring * share if self._signals == 1 else start + self._ring * share
            if self._signals == 1:
                one = min(one, start + (gpus - 1) * share, SWITCH_STARTS * start + self._in_switch * share)
            seconds += 2 * layers * one
        if self.placement.data > 1 and self._mixtures:
            ways = min(self._facts["n_active_experts"], self._gpus) * (self._gpus - 1) / self._gpus
            seconds += self._mixtures * (2 * k.all_reduce_seconds + message * 1.5 * ways / self._link)
        return seconds

    def host_seconds(self, sequences: float, context: float) -> float:
        """Seconds of the host in a pass, for the sequences of a group, before the factor of the engine."""
        return sequences * (self._host + self._host_of_context * context)

    def talking_seconds(self, tokens: float) -> float:
        """Of a pass of so many tokens, the seconds on links."""
        return self._talk(tokens / self.placement.data, tokens) * self.engine.factor

    # --- prompts ---------------------------------------------------------------------------------------

    def prompt_flops(self, prompt_tokens: float) -> float:
        """FLOPs of attention of one prompt."""
        return _prompt_flops(self.model, max(int(prompt_tokens), 1))

    def prefill_seconds(self, prompts: float, prompt_tokens: float, largest_pass: float) -> float:
        """Seconds to prefill prompts that wait together, in passes of at most `largest_pass` tokens."""
        together = prompts * prompt_tokens
        passes = max(-(-together // largest_pass), 1)
        each = self.pass_seconds(0, 0, together / passes, prompts * self.prompt_flops(prompt_tokens) / passes, prompts / passes, graph=False)
        return passes * each

    def added_seconds(self, decoding: float, context: float, prompt_tokens: float, largest_pass: float = 8192) -> float:
        """Seconds that one prompt adds to decode steps when prompts ride along, a pass full of them at a time."""
        together = max(1, int(largest_pass // max(prompt_tokens, 1)))
        with_them = self.pass_seconds(decoding, context, together * prompt_tokens, together * self.prompt_flops(prompt_tokens), together)
        return (with_them - self.pass_seconds(decoding, context)) / together


@lru_cache(maxsize=None)
def _parameters(model):
    return parameters(model.facts)


@lru_cache(maxsize=4096)
def _prompt_flops(model, prompt_tokens):
    facts = model.facts
    return attention_work.prefill_attention_flops(
        prompt_tokens, facts["full_prefill_flops"], facts["sparse_attention_flops"], facts["index_top_k"], facts["window"],
        facts["sliding_attention_flops"], facts["chunk"], facts["chunked_attention_flops"], facts["fixed_attention_flops"])
