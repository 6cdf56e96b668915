"""Layouts: how a model is spread over GPUs, whether it can be, and what each GPU then holds, sends and waits for.

    >>> from llmcost.catalog import GPUS, MODELS
    >>> problems(Layout(tensor=3), MODELS["llama_3_1_70b"])[0]
    '64 query heads do not divide over 3 GPUs of a tensor-parallel group'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

from . import capacity, collectives, parallelism, phases, transformer
from .faces import at


class LayoutError(ValueError):
    """A layout that the model or the GPU does not allow: the message gives every reason."""


@dataclass(frozen=True)
class Layout:
    """How many ways a model is split, and how many copies stand beside each other.

    Attributes
    ----------
    tensor : GPUs that share every matrix of a layer
    stages : pipeline stages, each with some of the layers
    experts : GPUs over which the experts of a mixture are spread; 1 leaves them with their tensor-parallel group
    context : GPUs that share the cache of one sequence, token by token
    replicas : copies of all this, each with its own users
    redundant_experts : copies of popular experts of each layer, beside one of each
    """

    tensor: int = 1
    stages: int = 1
    experts: int = 1
    context: int = 1
    replicas: int = 1
    redundant_experts: int = 0

    @property
    def n_gpus(self) -> int:
        """GPUs of one replica: experts are spread over GPUs that hold attention for other sequences."""
        return max(self.tensor * self.context, self.experts) * self.stages

    @property
    def total_gpus(self) -> int:
        """GPUs of all replicas."""
        return self.n_gpus * self.replicas


def problems(layout: Layout, model) -> list[str]:
    """Why `model` cannot be laid out so; empty where it can.

    `model` is a catalog record or a mapping with its facts.
    """
    s = getattr(model, "facts", model)
    found = []
    for least, names in ((1, ("tensor", "stages", "experts", "context", "replicas")), (0, ("redundant_experts",))):
        counts = {name: getattr(layout, name) for name in names}
        if wrong := [name for name, value in counts.items() if not isinstance(value, Integral) or isinstance(value, bool) or value < least]:
            return [f"{', '.join(wrong)} must be a whole number from {least} on"]
    if s["n_heads"] % layout.tensor:
        found.append(f"{s['n_heads']} query heads do not divide over {layout.tensor} GPUs of a tensor-parallel group")
    for group in s["layers"]:
        heads = group.get("n_kv_heads", layout.tensor)
        if heads % layout.tensor and layout.tensor % heads:
            found.append(f"{heads} KV heads on {layout.tensor} GPUs: neither is a multiple of the other, so that heads are "
                         f"neither shared out nor copied evenly")
        state_heads = group.get("n_key_heads", group.get("n_state_heads", layout.tensor))
        if state_heads % layout.tensor:
            found.append(f"{state_heads} heads with a state do not divide over {layout.tensor} GPUs")
    widths = {"d_ff": "MLP"} if s["n_dense_layers"] else {}
    if s["n_dense_layers"] < s["n_layers"] and layout.experts == 1:
        widths["d_expert"] = "expert"
    found += [f"an {word} of width {s[name]:,} does not divide over {layout.tensor} GPUs" for name, word in widths.items()
              if s[name] % layout.tensor]
    if layout.stages > s["n_layers"]:
        found.append(f"{layout.stages} stages for {s['n_layers']} layers; a stage has at least one")
    if layout.redundant_experts and layout.experts == 1:
        found.append(f"{layout.redundant_experts} copies of experts that are not spread: nothing is shared out between them")
    if layout.experts > 1:
        if s["n_experts"] == 1:
            found.append("no experts to spread: every token passes through the whole model")
        elif (slots := s["n_experts"] + layout.redundant_experts) % layout.experts:
            found.append(f"{s['n_experts']} experts and {layout.redundant_experts} copies do not spread evenly over {layout.experts} "
                         f"GPUs; {layout.redundant_experts + -slots % layout.experts} copies do")
        if layout.experts % (layout.tensor * layout.context):
            found.append(f"experts on {layout.experts} GPUs, attention on groups of {layout.tensor * layout.context}: the first "
                         f"must be a multiple of the second")
    return list(dict.fromkeys(found))


def memory_per_gpu(layout: Layout, model, batch: float, context: float, **formats) -> dict[str, float]:
    """Bytes on the fullest GPU by item, for `batch` sequences of `context` tokens in one replica.

    `formats` are `weight_bytes_per_param`, `kv_bytes_per_element` and `state_bytes_per_element`.

    Raises `LayoutError` with every reason for a layout that is not possible.
    """
    s = _checked(layout, model)
    groups = layout.n_gpus // layout.stages // (layout.tensor * layout.context)  # that share the batch, when experts are spread
    copies = 1 + layout.redundant_experts / s["n_experts"]
    experts = copies * s["n_expert_params"] / (layout.experts if layout.experts > 1 else layout.tensor)
    rest = (s["n_params"] - s["n_expert_params"]) / layout.tensor
    state = at(capacity.state_bytes_per_gpu, s, n_gpus=layout.tensor, context=context / layout.context,
               **{name: value for name, value in formats.items() if name != "weight_bytes_per_param"})
    return {"weights": at(transformer.weight_bytes, n_params=rest / layout.stages, **_weight(formats)),
            "experts": at(transformer.weight_bytes, n_params=experts / layout.stages, **_weight(formats)),
            "state": batch / groups * state / layout.stages}


def _weight(formats):
    return {"weight_bytes_per_param": formats["weight_bytes_per_param"]}


def step_seconds(layout: Layout, model, gpu, assumed: Mapping, batch: float, context: float, **formats) -> dict[str, float]:
    """Least time of one decode step by part, for `batch` sequences of `context` tokens in one replica of a layout without
    spread experts: weights, state and computing side by side, of which the longer of reading and computing counts, then
    all-reduces, then the way between stages; "step" is their sum.

    `assumed` gives the hops of collectives by name (`llmcost.catalog.ASSUMED`).

    Raises `LayoutError` for a layout that is not possible, or that spreads experts or contexts.
    """
    s = _checked(layout, model)
    if layout.experts > 1 or layout.context > 1:
        raise LayoutError(f"{layout} spreads experts or contexts; step_seconds knows tensor and pipeline parallelism")
    given = {"n_gpus": layout.tensor, "batch": batch, "context": context, "message_bytes": parallelism.stream_bytes(
        batch, s["d_model"], formats["activation_bytes_per_element"]), **formats}
    formulas = {"weights": phases.weight_reading_seconds, "state": phases.state_reading_seconds,
                "computing": phases.decode_computing_seconds}
    sides = {name: at(formula, s, gpu, given) for name, formula in formulas.items()}
    between = at(collectives.point_to_point_seconds, s, gpu, assumed, given) * (layout.stages - 1) if layout.stages > 1 else 0.0
    passing = at(parallelism.tensor_seconds, s, gpu, assumed, given)
    step = max(sides["weights"] + sides["state"], sides["computing"]) + passing + between
    return {**sides, "all-reduces": passing, "between stages": between, "step": step}


def wire_bytes(layout: Layout, model, pass_tokens: float, activation_bytes_per_element: float) -> dict[str, float]:
    """Bytes that one GPU sends in one pass over `pass_tokens` tokens of one replica, by kind of parallelism.

    Raises `LayoutError` for a layout that is not possible.
    """
    s = _checked(layout, model)
    groups = layout.n_gpus // layout.stages // (layout.tensor * layout.context)
    tokens = pass_tokens / groups
    stream = parallelism.stream_bytes(tokens, s["d_model"], activation_bytes_per_element)
    mixtures = (s["n_layers"] - s["n_dense_layers"]) if groups > 1 else 0  # whose experts other groups hold
    sums = (2 * s["n_layers"] - mixtures) / layout.stages
    merged = max(parallelism.context_merge_bytes(tokens, s["n_heads"] / layout.tensor, width, activation_bytes_per_element)
                 for width in (group.get("kv_rank", group.get("d_head", 0)) for group in s["layers"]))
    exchange = parallelism.expert_exchange_bytes(tokens / layout.tensor, s["n_active_experts"], s["d_model"], activation_bytes_per_element)
    return {"tensor": sums * collectives.ring_bytes(stream, layout.tensor),
            "experts": 2 * mixtures / layout.stages * collectives.share_bytes(exchange, layout.experts) if groups > 1 else 0.0,
            "context": s["n_layers"] / layout.stages * collectives.ring_bytes(merged, layout.context),
            "stages": stream / layout.tensor if layout.stages > 1 else 0.0}


def _checked(layout, model):
    if found := problems(layout, model):
        raise LayoutError(f"{layout} is not possible for {getattr(model, 'name', 'this model')}: {'; '.join(found)}")
    return getattr(model, "facts", model)
