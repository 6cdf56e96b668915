"""Records: named, frozen facts with their sources, checked when they are made."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from . import attention, transformer

KINDS = ("datasheet", "paper", "config", "measured", "price_list", "assumed")


class FactError(ValueError):
    """A fact in `data/` that cannot be used: the message names the file, the record and the way out."""


class UnknownName(KeyError):
    """A name that the catalog does not have: the message says what there is, with the nearest first."""

    def __str__(self):
        return self.args[0]


@dataclass(frozen=True)
class Source:
    """Where a fact comes from: kind of source, key in references.bib, place in the source, date of retrieval."""

    kind: str
    source: str
    where: str
    date: datetime.date


@dataclass(frozen=True, eq=False)
class Record:
    """A named set of facts. `facts` maps parameter names to values; each is an attribute too.

    `sources` gives the source of each fact that is not computed. Neither can be changed.
    """

    key: str
    name: str
    facts: Mapping
    sources: Mapping = field(repr=False)

    def __post_init__(self):
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __getattr__(self, name):
        facts = object.__getattribute__(self, "facts")
        if name in facts:
            return facts[name]
        raise AttributeError(f"{self.name} has no fact {name!r}; it has {', '.join(facts)}")

    def source_of(self, fact: str) -> Source | None:
        """The source of `fact`, or None when it is computed from others."""
        return self.sources.get(fact)


class Model(Record):
    """A decoder: its shapes, and what is computed from them.

    `facts` holds the shapes, the parameter counts, and the sums over layers that `attention.state_bytes`
    and its kin take. A dense model is a mixture whose layers are all dense. `n_kv_heads` and `d_head`
    are facts of the model only where every layer caches them for every token; elsewhere they stand
    in `layers`, so that a formula for full attention cannot take them.
    """

    @classmethod
    def from_shapes(cls, place: str, key: str, name: str, shapes: Mapping, sources: Mapping) -> "Model":
        """A model from its shapes, the rest computed.

        Raises `FactError`, beginning with `place`, for a shape that is missing, not a whole number in
        range, unknown, or in contradiction with another.
        """
        check_shapes(place, shapes)
        dense = {"attention_bias": False, "router_bias": False, "n_experts": 1, "n_active_experts": 1,
                 "n_shared_experts": 0, "n_dense_layers": shapes["n_layers"]}
        facts = {**dense, **shapes, **_shared_by_all(shapes["layers"]), **_state_sums(place, shapes)}
        parameters = transformer.parameters(cls(key, name, {"d_ff": 0, "d_expert": 0, **facts}, sources))
        total, routed = sum(parameters.values()), parameters["routed experts"]
        idle = routed // facts["n_experts"] * (facts["n_experts"] - facts["n_active_experts"])
        lookups = 0 if facts["tied_embeddings"] else parameters["embedding"]
        facts |= {"n_params": total, "n_expert_params": routed, "n_active_params": total - idle,
                  "n_lookup_params": lookups}
        return cls(key, name, facts, sources)


class Accelerator(Record):
    """A GPU: peak dense FLOP/s by format, memory, bandwidth, link."""

    def computing_in(self, number_format: str) -> Record:
        """This accelerator with `peak_flops` set to the peak of one format, such as "bf16" or "fp8".

        Raises `UnknownName` when the datasheet gives no peak for that format.
        """
        peaks = {fact.rpartition("_")[2]: value for fact, value in self.facts.items() if fact.startswith("peak_")}
        if number_format not in peaks:
            raise UnknownName(f"{self.name} has no peak for {number_format!r}; it has {', '.join(peaks)}")
        return Record(self.key, f"{self.name} in {number_format}",
                      {**self.facts, "peak_flops": peaks[number_format]}, self.sources)


# --- shapes ------------------------------------------------------------------------------------

LAYER_SHAPES = {
    "full": ("n", "n_kv_heads", "d_head"),
    "sliding": ("n", "n_kv_heads", "d_head", "window"),
    "mla": ("n", "q_rank", "kv_rank", "d_nope", "d_rope", "d_value"),
    "linear": ("n", "n_state_heads", "d_key", "d_value"),
}
INDEXER_SHAPES = ("n_index_heads", "d_index", "index_top_k", "index_bytes_per_element", "index_scale_bytes")
MODEL_SHAPES = ("d_model", "n_layers", "n_heads", "vocab_size")
MOE_SHAPES = ("n_experts", "n_active_experts", "d_expert", "n_shared_experts", "n_dense_layers")
MAY_BE_ZERO = ("n_shared_experts", "n_dense_layers", "index_scale_bytes")
FLAGS = ("tied_embeddings", "attention_bias", "router_bias")
OTHER_FACTS = ("d_ff", "layers", "max_context", "checkpoint_dtype", "published_params", "published_prediction_modules",
               "also", "notes")
LONGEST = 10_000_000  # tokens: a window this wide hides nothing


def check_shapes(place: str, shapes: Mapping) -> None:
    """Raise `FactError` unless every shape is there, known, a whole number in range, and consistent with the others."""
    known = {*MODEL_SHAPES, *MOE_SHAPES, *FLAGS, *OTHER_FACTS}
    if unknown := sorted(set(shapes) - known):
        raise FactError(f"{place} has {', '.join(unknown)}, which no model has; it may have {', '.join(sorted(known))}")
    is_moe = "n_experts" in shapes
    if is_moe:
        _check_whole(place, shapes, MOE_SHAPES)
    has_mlp = not is_moe or shapes["n_dense_layers"] > 0
    _check_whole(place, shapes, MODEL_SHAPES + (("d_ff",) if has_mlp else ()))
    if is_moe and shapes["n_active_experts"] > shapes["n_experts"]:
        raise FactError(f"{place} uses {shapes['n_active_experts']} experts per token but has {shapes['n_experts']}")
    if is_moe and shapes["n_dense_layers"] > shapes["n_layers"]:
        raise FactError(f"{place} has {shapes['n_dense_layers']} dense layers among {shapes['n_layers']} layers")
    for flag in FLAGS:
        if not isinstance(shapes.get(flag, None if flag == "tied_embeddings" else False), bool):
            raise FactError(f"{place} has {flag} = {shapes.get(flag)!r}; it must be true or false")
    layers = shapes.get("layers")
    if not isinstance(layers, list) or not layers or not all(isinstance(group, Mapping) for group in layers):
        raise FactError(f'{place} has no layers; it needs a list such as '
                        f'[{{attention = "full", n = 32, n_kv_heads = 8, d_head = 128}}]')
    for group in layers:
        _check_group(place, shapes["n_heads"], group)
    if (total := sum(group["n"] for group in layers)) != shapes["n_layers"]:
        raise FactError(f"{place} has n_layers = {shapes['n_layers']} but its layers add up to {total}")


def _check_group(place: str, n_heads: int, group: Mapping) -> None:
    kind = group.get("attention")
    if not isinstance(kind, str) or kind not in LAYER_SHAPES:
        raise FactError(f"{place} has a layer with attention = {kind!r}; it is one of {', '.join(LAYER_SHAPES)}")
    shapes = LAYER_SHAPES[kind] + (INDEXER_SHAPES if "n_index_heads" in group else ())
    if unknown := sorted(set(group) - {"attention", *shapes}):
        raise FactError(f"{place}, {kind} layers have {', '.join(unknown)}; they may have {', '.join(shapes)}")
    _check_whole(f"{place}, {kind} layers", group, shapes)
    if "n_kv_heads" in group and n_heads % group["n_kv_heads"]:
        raise FactError(f"{place} has {n_heads} query heads for {group['n_kv_heads']} KV heads; query heads share KV "
                        f"heads in equal groups, so the first must be a multiple of the second")


def _check_whole(place: str, shapes: Mapping, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in shapes:
            raise FactError(f"{place} has no {name}; it needs {', '.join(names)}")
        value, least = shapes[name], 0 if name in MAY_BE_ZERO else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise FactError(f"{place} has {name} = {value!r}; it must be a whole number, {least} or more")


def _shared_by_all(layers: list[Mapping]) -> dict:
    """Shapes that every layer has with the same value: those may stand for the model."""
    first, *rest = layers
    withheld = ("n", "attention") if first["attention"] != "sliding" else ("n", "attention", "n_kv_heads", "d_head")
    return {name: value for name, value in first.items()
            if name not in withheld and all(group.get(name) == value for group in rest)}


def _state_sums(place: str, shapes: Mapping) -> dict:
    """Sums over the layers: what `attention.state_bytes` and `attention.state_attention_flops` take."""
    sums = dict.fromkeys(("full_elements_per_token", "sparse_elements_per_token", "sliding_elements_per_token",
                          "fixed_state_elements", "index_bytes_per_token", "full_attention_flops",
                          "sparse_attention_flops", "sliding_attention_flops", "fixed_attention_flops"), 0)
    shards, windows, selections = [], set(), set()
    for group in shapes["layers"]:
        n, kind = group["n"], group["attention"]
        if kind == "mla":
            latent = group["kv_rank"], group["d_rope"]
            reads = "sparse" if "n_index_heads" in group else "full"
            sums[f"{reads}_elements_per_token"] += n * attention.mla_elements(*latent)
            sums[f"{reads}_attention_flops"] += n * attention.mla_attention_flops(shapes["n_heads"], *latent)
            shards.append(1)
        elif kind == "linear":
            state = group["n_state_heads"], group["d_key"], group["d_value"]
            sums["fixed_state_elements"] += n * attention.linear_state_elements(*state)
            sums["fixed_attention_flops"] += n * attention.linear_attention_flops(*state)
            shards.append(group["n_state_heads"])
        else:
            sums[f"{kind}_elements_per_token"] += n * attention.kv_elements(group["n_kv_heads"], group["d_head"])
            sums[f"{kind}_attention_flops"] += n * attention.attention_flops(shapes["n_heads"], group["d_head"])
            shards.append(group["n_kv_heads"])
            windows |= {group["window"]} if kind == "sliding" else set()
        if "n_index_heads" in group:
            sums["index_bytes_per_token"] += attention.indexer_bytes_per_token(
                n, group["d_index"], group["index_bytes_per_element"], group["index_scale_bytes"])
            sums["full_attention_flops"] += n * attention.indexer_flops(group["n_index_heads"], group["d_index"])
            selections.add(group["index_top_k"])
    for what, found in (("windows", windows), ("index_top_k", selections)):
        if len(found) > 1:
            raise FactError(f"{place} has layers with different {what}, {sorted(found)}; give all of them one")
    return {**sums, "window": windows.pop() if windows else LONGEST,
            "index_top_k": selections.pop() if selections else LONGEST, "kv_shards": min(shards)}
