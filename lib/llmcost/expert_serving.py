"""A mixture served with its experts spread over GPUs, with two micro-batches, copies of experts and a draft, if wanted.

    >>> from llmcost.catalog import ASSUMED, FABRICS, GPUS, MODELS
    >>> unit = ExpertService(MODELS["deepseek_v3"], GPUS["h800_sxm"].computing_in("fp8"), ASSUMED, Layout(experts=144, redundant_experts=32),
    ...                      weight_bytes_per_param=1, fabric=FABRICS["infiniband_400"])
    >>> unit.largest_batch(4989) // 144
    146
"""

from dataclasses import dataclass
from math import ceil

import numpy

from . import capacity, engine_steps, expert_parallelism, parallelism
from .layouts import Layout, LayoutError
from .serving import Service

OWN = ("expert_gpus", "redundant_experts", "draft_tokens", "micro_batches", "expert_bytes_per_param", "node_limit", "n_nodes")
"""Parameters that come from the layout or from an attribute, and not from `given`."""


@dataclass(frozen=True)
class ExpertService(Service):
    """One replica whose experts stand on `layout.experts` GPUs, in groups of `layout.tensor` that share the attention of a batch.

    A batch is that of all groups together, as in `Service`, which gives everything under a load. `max_sequences` is that of a
    group, which has an engine of its own; so are `kv_blocks`. Over one group it is a `Service`, but that attention is computed in BF16.
    `expert_imbalance` counts in computing; the fullest GPU holds whole experts, and reads as many as the mean does.

    Attributes
    ----------
    fabric : record of `llmcost.catalog.FABRICS`, how GPUs reach each other; needed for more than one GPU
    expert_bytes_per_param : of the experts; None for that of the other weights
    micro_batches : parts of a batch of which one is worked on while another is exchanged; a group with fewer sequences has as many
    draft_tokens : tokens of a draft that each pass checks; 0 for no draft
    node_limit : nodes to which routing sends a token at most; None for as many as a token has experts, as where GPUs are their own nodes

    Raises `LayoutError` besides for pipeline stages, for contexts that are spread, without a fabric, and for counts that cannot be.
    """

    fabric: object = None
    expert_bytes_per_param: float | None = None
    micro_batches: int = 1
    draft_tokens: int = 0
    node_limit: int | None = None

    def _check_layout(self):
        if self.layout.stages > 1 or self.layout.context > 1:
            raise LayoutError(f"{self.layout} has stages or spreads contexts; a service of experts knows groups and experts")
        if self.layout.experts > 1 and "exchange_bandwidth" not in getattr(self.fabric, "facts", {}):
            raise LayoutError(f"{self.layout} spreads experts and fabric = {self.fabric!r}; say over what they are reached, with a record of "
                              f"llmcost.catalog.FABRICS such as FABRICS['infiniband_400']")
        for name, least in (("micro_batches", 1), ("draft_tokens", 0), ("node_limit", 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, numpy.integer)) or isinstance(value, bool) or value < least):
                raise LayoutError(f"{name} = {value!r}; it must be a whole number from {least} on")
        if self.expert_bytes_per_param is not None and not 0 < self.expert_bytes_per_param < 100:
            raise LayoutError(f"expert_bytes_per_param = {self.expert_bytes_per_param!r}; it must be a positive number of bytes, or None")
        if taken := [name for name in OWN if name in self.given]:
            raise LayoutError(f"given has {', '.join(taken)}, which the layout or an attribute says")

    @property
    def groups(self) -> int:
        """Groups of GPUs that share the attention of a batch."""
        return self.layout.n_gpus // self.layout.tensor

    def _known(self) -> dict:
        nodes = {"exchange_bandwidth": 1.0, "exchange_efficiency": 1.0, "exchange_hop_seconds": 0.0, "bulk_exchange_efficiency": 1.0,
                 "gpus_per_node": self.layout.n_gpus} if self.fabric is None else dict(self.fabric.facts)
        limited = self.node_limit is not None and nodes["gpus_per_node"] > 1
        own = {"n_nodes": ceil(self.layout.n_gpus / nodes.pop("gpus_per_node")), "expert_gpus": self.layout.n_gpus,
               "expert_bytes_per_param": self.weight_bytes_per_param if self.expert_bytes_per_param is None else self.expert_bytes_per_param,
               "redundant_experts": self.layout.redundant_experts, "draft_tokens": self.draft_tokens,
               "node_limit": self.node_limit if limited else self.model.n_active_experts}
        return {**super()._known(), **nodes, **own, **self.given}

    # --- memory -------------------------------------------------------------------------------

    def _memory(self, item, batch=1, context=1):
        if self.layout.experts == 1:
            return super()._memory(item, batch, context)
        if item == "weights":
            return self.value(expert_parallelism.spread_weight_bytes)
        return numpy.ceil(numpy.asarray(batch) / self.groups) * self.value(capacity.state_bytes_per_gpu, context=context)

    def largest_batch(self, context) -> int:
        """Sequences of `context` tokens that one replica holds: those of a group, times the groups."""
        return self.groups * super().largest_batch(context)

    # --- time ------------------------------------------------------------------------------------

    def one_pass(self, batch, context) -> dict:
        """Seconds of one pass by part, for `batch` sequences of `context` tokens in a replica, as in `step`; with a draft, the
        pass that checks it. "communication" is what of the exchange no work covers, and all-reduces; "exchange" is all of it.
        """
        local = numpy.maximum(numpy.asarray(batch) / self.groups, 1)
        parts = numpy.minimum(self.micro_batches, numpy.floor(local))
        given = {"batch": local, "context": context, "micro_batches": parts}
        tokens = self.value(expert_parallelism.micro_tokens, **given)
        given["message_bytes"] = self.value(parallelism.stream_bytes, pass_tokens=tokens)
        reading = self.value(expert_parallelism.spread_weight_bytes_read, **given) / self._known()["memory_bandwidth"]
        weights = parts * self.value(engine_steps.weight_step_seconds, weight_reading_seconds=reading)
        state = self.value(engine_steps.state_step_seconds, **given)
        computing = self.value(expert_parallelism.spread_computing_seconds, **given) / self._known()["compute_efficiency"]
        fixed = parts * self.value(engine_steps.fixed_step_seconds)
        exchange = self.value(expert_parallelism.exchange_seconds, **given)
        whole = self.value(expert_parallelism.overlapped_seconds, **given)
        found = {"weights": weights, "state": state, "computing": numpy.maximum(computing - weights - state, 0),
                 "fixed": fixed}
        return found | {"communication": whole - sum(found.values()), "exchange": parts * exchange, "step": whole}

    def step(self, batch, context) -> dict:
        """Seconds of one pass by part, as `Service.step`, for each output token that it yields: less with a draft that is accepted."""
        found = self.one_pass(batch, context)
        del found["exchange"]
        each = self.value(expert_parallelism.spread_tpot, overlapped_seconds=1.0)
        return {name: seconds * each for name, seconds in found.items()}

    def prefill_seconds(self, prompt_tokens, prompts=1):
        """Seconds of a prefill in which each group has a prompt at a time, `prompts` of them over all groups."""
        if self.groups == 1:
            return super().prefill_seconds(prompt_tokens, prompts)
        return numpy.ceil(numpy.asarray(prompts) / self.groups) * self._round_seconds(prompt_tokens)

    def prompt_engine_seconds(self, prompt_tokens):
        """Seconds of a replica that one prompt takes, when every group has one."""
        if self.groups == 1:
            return super().prompt_engine_seconds(prompt_tokens)
        return self._round_seconds(prompt_tokens) / self.groups

    def _round_seconds(self, prompt_tokens):
        """Seconds of a pass in which every group prefills one prompt: computing or reading, all-reduces, the exchange, the fixed time."""
        given = {"prompt_tokens": prompt_tokens, "micro_tokens": prompt_tokens, "message_bytes": self.value(parallelism.stream_bytes, pass_tokens=prompt_tokens)}
        reading = self.value(expert_parallelism.spread_weight_bytes_read, **given) / self._known()["memory_bandwidth"]
        computing = self.value(expert_parallelism.prompt_work_seconds, **given) / self.layout.tensor
        work = numpy.maximum(computing, self.value(engine_steps.weight_step_seconds, weight_reading_seconds=reading))
        work = work + self.value(expert_parallelism.group_tensor_seconds, **given)
        exchange = self.value(expert_parallelism.prompt_exchange_seconds, **given) / self.layout.tensor
        whole = self.value(expert_parallelism.spread_prompt_seconds, micro_batches=self.micro_batches, prompt_work_seconds=work,
                           prompt_exchange_seconds=exchange)
        return whole + self.micro_batches * self.value(engine_steps.fixed_step_seconds)

    def prefill_tokens_per_second(self, prompt_tokens):
        """Prompt tokens each second of one GPU of a replica that only prefills, in passes so large that neither reading weights nor
        all-reduces nor fixed times count.
        """
        return self.value(expert_parallelism.spread_prefill_tokens_per_second, prompt_tokens=prompt_tokens, micro_batches=self.micro_batches)

    def decode_tokens_per_second(self, batch, context):
        """Output tokens each second of one GPU of a replica that only decodes."""
        return numpy.asarray(batch) / self.layout.n_gpus / self.step(batch, context)["step"]
