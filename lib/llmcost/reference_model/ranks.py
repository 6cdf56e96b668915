"""The reference model on several ranks: each holds its part of the weights and of the cache, and they pass messages.

Three ways to split. *Tensor parallel*: every weight of a block is cut by columns or by rows, as the plan says, and the
halves of a block end in an all-reduce. *Expert parallel*: each rank has its own sequences and whole experts of each mixture,
and tokens travel to their experts and back. *Pipeline parallel*: each rank has some of the layers.

A rank's program yields what it wants to exchange and gets the result back: `run` starts all programs, and nothing but
the `Wire` moves arrays between them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy

from . import mixture, residuals
from .checks import ReferenceError, check_count
from .decoder import KINDS, Decoder, Paths, Step
from .wire import Wire

TENSOR_PLAN = {
    "attention.query": "column", "attention.key": "heads", "attention.value": "heads", "attention.output": "row",
    "attention.query_bias": "column", "attention.key_bias": "heads", "attention.value_bias": "heads",
    "attention.output_bias": "first", "attention.output_gate": "column", "attention.sinks": "column",
    "attention.query_up": "column", "attention.key_up": "stack", "attention.value_up": "stack",
    "mlp.gate": "column", "mlp.up": "column", "mlp.down": "row", "mlp.gate_bias": "column", "mlp.up_bias": "column",
    "mlp.down_bias": "first",
    "mlp.expert_gate": "column", "mlp.expert_up": "column", "mlp.expert_down": "row", "mlp.expert_gate_bias": "column",
    "mlp.expert_up_bias": "column", "mlp.expert_down_bias": "first",
    "mlp.shared_gate": "column", "mlp.shared_up": "column", "mlp.shared_down": "row",
    "embedding": "row", "head": "column", "head_bias": "column",
}
"""How each weight of the model is cut, like the plan of a framework; a weight that is not named stays whole on every rank.

column: by outputs; row: by inputs, which gives partial sums (an embedding's inputs are the tokens); heads: by columns, and a
KV head is copied where there are fewer of them than ranks; stack: by the first axis, a head each; first: whole on the
first rank and zero on the others, so that it is added once.
"""
EXPERT_PLAN = {f"mlp.expert_{name}": "stack" for name in ("gate", "up", "down", "gate_bias", "up_bias", "down_bias")}
"""The same where ranks share nothing but the experts of the mixtures."""


def shard(decoder: Decoder, n_ranks: int, plan: Mapping = TENSOR_PLAN) -> list[Decoder]:
    """One decoder for each rank, with its part of the weights and shapes that say so.

    Raises `ReferenceError` for sizes that do not divide, or a kind of layer whose norm spans all heads.
    """
    check_count("n_ranks", n_ranks)
    _check(decoder.shapes, n_ranks, plan)
    n_kv_heads = min((group["n_kv_heads"] for group in decoder.shapes["layers"] if "n_kv_heads" in group), default=n_ranks)

    def cut(weights, path, rank):
        """The part of `rank` of a nested mapping; `path` leads to it. All layers are cut alike: theirs begins anew."""
        found = {}
        for name, value in weights.items():
            here = f"{path}.{name}" if path else name
            if isinstance(value, list):
                found[name] = [cut(layer, "", rank) for layer in value]
            elif isinstance(value, Mapping):
                found[name] = cut(value, here, rank)
            else:
                found[name] = _part(value, plan.get(here), rank, n_ranks, n_kv_heads)
        return found

    shapes = decoder.shapes if plan == EXPERT_PLAN else _of_one_rank(decoder.shapes, n_ranks)
    return [replace(decoder, shapes=shapes, weights=cut(decoder.weights, "", rank)) for rank in range(n_ranks)]


def _part(array, rule, rank, n_ranks, n_kv_heads):
    """The part of one weight that `rank` has."""
    if rule is None:
        return array
    if rule == "first":
        return array if rank == 0 else numpy.zeros_like(array)
    if rule == "heads":
        copies = max(1, n_ranks // n_kv_heads)
        return numpy.split(array, n_ranks // copies, axis=-1)[rank // copies].copy()
    axis = {"column": -1, "row": -2, "stack": 0}[rule]
    return numpy.split(array, n_ranks, axis=axis)[rank].copy()


def _of_one_rank(s, n_ranks):
    """The shapes of one rank: what a layer needs to know about its heads. The rest it sees from its weights."""
    def shared(group):
        return {**group, "n_kv_heads": max(1, group["n_kv_heads"] // n_ranks)} if "n_kv_heads" in group else group

    return {**s, "n_heads": s["n_heads"] // n_ranks, "layers": [shared(group) for group in s["layers"]]}


def _check(s, n_ranks, plan):
    experts = s["n_experts"] if s["n_dense_layers"] < s["n_layers"] else 0
    if s["n_hash_layers"]:
        raise ReferenceError(f"n_hash_layers = {s['n_hash_layers']}; experts that are chosen by the number of a token are not "
                             f"split here")
    must = {"n_experts": experts} if plan == EXPERT_PLAN else {
        "n_heads": s["n_heads"], "d_ff": s["d_ff"] if s["n_dense_layers"] else 0, "d_expert": s["d_expert"] if experts else 0,
        "d_shared": s["n_shared_experts"] * (s["d_shared"] or s["d_expert"]) if experts else 0, "vocab_size": s["vocab_size"]}
    for name, size in must.items():
        if size % n_ranks:
            raise ReferenceError(f"{name} = {size} does not divide over {n_ranks} ranks")
    if plan == EXPERT_PLAN:
        return
    for group in s["layers"]:
        heads = group.get("n_kv_heads", n_ranks)
        if heads % n_ranks and n_ranks % heads:
            raise ReferenceError(f"{heads} KV heads on {n_ranks} ranks: neither number is a multiple of the other")
        if group["attention"] not in ("full", "sliding", "chunked", "mla") or group.get("qk_norm") == "projection":
            raise ReferenceError(f"a layer of kind {group['attention']} with qk_norm {group.get('qk_norm', 'none')} is not split by "
                                 f"heads here: only full, sliding, chunked and mla layers, whose norms stay within a head, are")
    if len({group["n_kv_heads"] for group in s["layers"] if "n_kv_heads" in group}) > 1:
        raise ReferenceError("layers with different n_kv_heads; the plan cuts all of them the same way")


# --- programs of one rank ---------------------------------------------------------------------------

def tensor_program(decoder: Decoder, cache, tokens, rank: int, paths: Paths = Paths(), every: bool = False):
    """One pass on one rank of a tensor-parallel group; every rank gets the same `tokens` and returns all logits."""
    step = Step(cache.length, tokens.shape[1], decoder.shapes["n_heads"], paths)
    table = decoder.weights["embedding"]  # the rows of some tokens: a rank has nothing to say of the others
    mine = (tokens // len(table) == rank)[..., None]
    embedded = yield "all_reduce", numpy.where(mine, table[tokens % len(table)], 0.0)
    stream = residuals.stream(embedded, decoder.shapes)
    for w, s, kept in zip(decoder.weights["layers"], decoder.kinds, cache.layers):
        x = decoder.norm(stream.read(w["attention_residual"]), w["attention_norm"])
        stream.write((yield "all_reduce", KINDS[s["attention"]].attention(x, w["attention"], s, kept, step)))
        if "mlp_norm" in w:
            x = decoder.norm(stream.read(w["mlp_residual"]), w["mlp_norm"])
        half = mixture.mixture(x, w["mlp"], decoder.shapes) if "router" in w["mlp"] else mixture.mlp(x, w["mlp"])
        stream.write((yield "all_reduce", half))
    cache.length += step.tokens
    return (yield "all_gather", decoder.logits(stream, every))


def expert_program(decoder: Decoder, cache, tokens, rank: int, n_ranks: int, paths: Paths = Paths(), every: bool = False):
    """One pass on one rank of an expert-parallel group; every rank has `tokens` of its own and returns their logits."""
    step = Step(cache.length, tokens.shape[1], decoder.shapes["n_heads"], paths)
    stream = residuals.stream(decoder.weights["embedding"][tokens], decoder.shapes)
    for w, s, kept in zip(decoder.weights["layers"], decoder.kinds, cache.layers):
        x = decoder.norm(stream.read(w["attention_residual"]), w["attention_norm"])
        stream.write(KINDS[s["attention"]].attention(x, w["attention"], s, kept, step))
        x = decoder.norm(stream.read(w["mlp_residual"]), w["mlp_norm"])
        travels = "router" in w["mlp"]
        stream.write((yield from _travel(x, w["mlp"], decoder.shapes, n_ranks)) if travels else mixture.mlp(x, w["mlp"]))
    cache.length += step.tokens
    return decoder.logits(stream, every)
    yield  # a program even where there is no mixture


def _travel(x, w, s, n_ranks):
    """One mixture whose experts are spread over ranks: dispatch each token to its experts, combine what comes back."""
    rows, here = x.reshape(-1, x.shape[-1]), s["n_experts"] // n_ranks
    chosen, weight = mixture.route(rows @ w["router"], s["n_active_experts"], w.get("router_bias"))
    token, slot = numpy.nonzero(numpy.ones_like(chosen))
    expert = chosen[token, slot]
    going = [numpy.nonzero(expert // here == target)[0] for target in range(n_ranks)]
    # A row travels with the number of the expert that it is for, as one more column.
    arrived = yield "all_to_all", [numpy.column_stack([rows[token[which]], expert[which] % here]) for which in going]
    served = []
    for parcel in arrived:
        batch, number = parcel[:, :-1], parcel[:, -1].astype(int)
        done = numpy.zeros_like(batch)
        for i in numpy.unique(number):
            one = {name: w[name][i] for name in w if f"mlp.{name}" in EXPERT_PLAN}
            done[number == i] = mixture.mlp(batch[number == i], one, "expert_")
        served.append(done)
    back = yield "all_to_all", served
    found = numpy.zeros_like(rows)
    for which, rows_back in zip(going, back):
        numpy.add.at(found, token[which], rows_back * weight[token[which], slot[which]][:, None])
    if "shared_up" in w:
        shared = mixture.mlp(rows, w, "shared_")
        found = mixture.add_shared(found, shared)
    return found.reshape(x.shape)


def run(programs: list, wire: Wire) -> list:
    """What each program returns. All ask for the same collective at the same time, and get its result.

    Raises `ReferenceError` when they do not: a rank waits for ever for one that asks for something else.
    """
    answers, returned = [None] * len(programs), {}
    while len(returned) < len(programs):
        asked = {}
        for rank, program in enumerate(programs):
            try:
                asked[rank] = program.send(answers[rank])
            except StopIteration as end:
                returned[rank] = end.value
        if asked and (len(asked) < len(programs) or len({name for name, _ in asked.values()}) > 1):
            raise ReferenceError(f"ranks ask for {sorted({name for name, _ in asked.values()})}, {len(returned)} have ended; a "
                                 f"collective needs all of them")
        if asked:
            name, arrays = asked[0][0], [array for _, array in asked.values()]
            answers = getattr(wire, name)(arrays)
    return [returned[rank] for rank in range(len(programs))]


# --- whole groups ------------------------------------------------------------------------------------

class TensorParallel:
    """A decoder on `n_ranks` ranks of one tensor-parallel group, with their caches and their wire."""

    def __init__(self, decoder: Decoder, n_ranks: int, batch: int, algorithm: str = "ring"):
        self.ranks, self.wire = shard(decoder, n_ranks), Wire(n_ranks, algorithm)
        self.caches = [rank.empty_cache(batch) for rank in self.ranks]

    def forward(self, tokens, paths: Paths = Paths(), every: bool = False):
        """Logits, as of `Decoder.forward`."""
        tokens = self.ranks[0].checked(tokens, self.caches[0])
        programs = [tensor_program(decoder, cache, tokens, rank, paths, every)
                    for rank, (decoder, cache) in enumerate(zip(self.ranks, self.caches))]
        return run(programs, self.wire)[0]


class ExpertParallel:
    """A decoder on `n_ranks` ranks, each with its own sequences and a part of the experts."""

    def __init__(self, decoder: Decoder, n_ranks: int, batch: int):
        if batch % n_ranks:
            raise ReferenceError(f"{batch} sequences do not divide over {n_ranks} ranks")
        s = decoder.shapes
        if s["d_expert_in"] or s["shared_gate"] or s["norms_per_layer"] != 2:
            raise ReferenceError("experts that work in a latent, a gate of the shared expert and blocks with one norm do not "
                                 "travel here")
        self.ranks, self.wire = shard(decoder, n_ranks, EXPERT_PLAN), Wire(n_ranks)
        self.caches = [rank.empty_cache(batch // n_ranks) for rank in self.ranks]

    def forward(self, tokens, paths: Paths = Paths(), every: bool = False):
        """Logits, as of `Decoder.forward`."""
        n = len(self.ranks)
        parts = [rank.checked(part, cache) for rank, part, cache in zip(self.ranks, numpy.array_split(tokens, n), self.caches)]
        programs = [expert_program(rank, cache, part, i, n, paths, every)
                    for i, (rank, cache, part) in enumerate(zip(self.ranks, self.caches, parts))]
        return numpy.concatenate(run(programs, self.wire))


class Pipeline:
    """A decoder whose layers stand on `n_stages` ranks, one group of layers after the other."""

    def __init__(self, decoder: Decoder, n_stages: int, batch: int, micro_batches: int = 1):
        n_layers = len(decoder.kinds)
        check_count("n_stages", n_stages)
        check_count("micro_batches", micro_batches)
        if n_stages > n_layers:
            raise ReferenceError(f"{n_stages} stages for {n_layers} layers; a stage needs at least one layer")
        if batch % micro_batches:
            raise ReferenceError(f"{batch} sequences do not divide into {micro_batches} micro-batches")
        if any(decoder.shapes[name] for name in ("n_residual_streams", "n_residual_vectors", "n_hash_layers")):
            raise ReferenceError("a model with several residual streams, or with experts that are chosen by token, is not cut into "
                                 "stages here")
        self.decoder, self.wire = decoder, Wire(n_stages)
        self.stages = numpy.array_split(numpy.arange(n_layers), n_stages)
        self.caches = [decoder.empty_cache(batch // micro_batches) for _ in range(micro_batches)]

    def forward(self, tokens, paths: Paths = Paths(), every: bool = False):
        """Logits, as of `Decoder.forward`. Micro-batches follow one another through the stages."""
        decoder, found = self.decoder, []
        for part, cache in zip(numpy.array_split(tokens, len(self.caches)), self.caches):
            part = decoder.checked(part, cache)
            step = Step(cache.length, part.shape[1], decoder.shapes["n_heads"], paths)
            x = decoder.weights["embedding"][part]
            for stage, numbers in enumerate(self.stages):
                if stage:
                    x = self.wire.send(x, stage - 1, stage)
                stream = residuals.stream(x, decoder.shapes)
                for i in numbers:
                    decoder.block(stream, decoder.weights["layers"][i], decoder.kinds[i], cache.layers[i], step, None)
                x = stream.x
            cache.length += step.tokens
            found.append(decoder.logits(stream, every))
        return numpy.concatenate(found)
