"""A model served on GPUs: from a layout, number formats and a load to memory, step time, TTFT, TPOT, capacity and the frontier.

Every number comes from a printed formula of the modules below; here they are put together, for scalars or for arrays.

    >>> from llmcost.catalog import ASSUMED, GPUS, MODELS
    >>> service = Service(MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16"), ASSUMED, Layout(tensor=4))
    >>> service.largest_batch(2304)
    202
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf, isfinite

import numpy

from . import capacity, collectives, engine_steps, layouts, load, parallelism, phases
from .faces import at, formulas, parameters
from .layouts import Layout, LayoutError
from .queueing import Chain

FORMATS = ("weight_bytes_per_param", "kv_bytes_per_element", "activation_bytes_per_element")


class CapacityError(ValueError):
    """A model or a load that the GPUs cannot take: the message says what was given, what is needed, and the way out."""


@dataclass(frozen=True)
class Service:
    """One replica of a model on GPUs, and how many of them stand beside each other.

    Attributes
    ----------
    model, gpu : records of the catalog, the GPU with the peak of the format that it computes in
    assumed : the assumptions by name, as `llmcost.catalog.ASSUMED`; any of them may be overridden in `given`
    layout : how the model is spread; tensor and pipeline parallelism, and replicas
    weight_bytes_per_param, kv_bytes_per_element, activation_bytes_per_element : of the number formats
    max_sequences : sequences that the engine takes at most
    given : further parameters by name, such as `memory_utilization`; `n_gpus` comes from the layout

    Raises `LayoutError` for a layout that is not possible, `CapacityError` for weights that do not fit, and `TypeError` for a
    name in `given` that no formula takes.
    """

    model: object
    gpu: object
    assumed: object
    layout: Layout = Layout()
    weight_bytes_per_param: float = 2
    kv_bytes_per_element: float = 2
    activation_bytes_per_element: float = 2
    max_sequences: int = 1024
    given: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if found := layouts.problems(self.layout, self.model):
            raise LayoutError(f"{self.layout} is not possible for {self.model.name}: {'; '.join(found)}")
        self._check_layout()
        if unknown := [name for name in self.given if name == "n_gpus" or not any(name in parameters(one) for one in formulas().values())]:
            raise TypeError(f"given has {', '.join(unknown)}; it takes parameters of formulas by name, and n_gpus comes from the layout")
        if not isinstance(self.max_sequences, (int, numpy.integer)) or isinstance(self.max_sequences, bool) or self.max_sequences < 1:
            raise CapacityError(f"max_sequences = {self.max_sequences!r}; it must be a whole number from 1 on")
        if self.kv_room() <= 0:
            raise CapacityError(f"{self.model.name} does not fit: each of {self.layout.n_gpus} {self.gpu.name} would hold "
                                f"{self._memory('weights') / 1e9:.1f} GB of weights, and the engine has "
                                f"{(self._memory('weights') + self.kv_room()) / 1e9:.1f} GB there for weights and cache; "
                                f"use more GPUs for a replica or fewer bytes per weight")

    def _check_layout(self):
        if self.layout.experts > 1:
            raise LayoutError(f"{self.layout} spreads experts; llmcost.expert_serving.ExpertService serves it")
        if self.layout.context > 1:
            raise LayoutError(f"{self.layout} spreads contexts; a service knows tensor and pipeline parallelism")

    def value(self, formula, **given):
        """`formula` for this service, with what it does not know in `given`; scalars or arrays."""
        return at(formula, self._known() | given)

    def _known(self) -> dict:
        own = {name: getattr(self, name) for name in FORMATS}
        return {**self.assumed.facts, **self.model.facts, **self.gpu.facts, **own, "n_gpus": self.layout.tensor, **self.given}

    @property
    def groups(self) -> int:
        """Groups of GPUs in a replica that each prefill a prompt of their own at the same time."""
        return 1

    # --- memory -------------------------------------------------------------------------------

    def _memory(self, item, batch=1, context=1):
        formats = {name: self._known()[name] for name in ("weight_bytes_per_param", "kv_bytes_per_element", "state_bytes_per_element")}
        held = layouts.memory_per_gpu(self.layout, self.model, batch, context, **formats)
        return held["weights"] + held["experts"] if item == "weights" else held["state"]

    def kv_room(self) -> float:
        """Bytes of each GPU that are left for the cache."""
        return self.value(capacity.kv_room_bytes, weight_bytes_per_gpu=self._memory("weights"))

    def largest_batch(self, context) -> int:
        """Sequences of `context` tokens that one replica holds: memory, or the engine's limit."""
        fits = numpy.floor(self.kv_room() / numpy.asarray(self._memory("state", 1, context), dtype=float))
        batch = numpy.minimum(fits, self.max_sequences)
        return int(batch) if batch.ndim == 0 else batch.astype(int)

    def memory(self, batch, context) -> dict[str, float]:
        """Bytes on each GPU by item, for `batch` sequences of `context` tokens in a replica; they add up to the memory.

        Raises `CapacityError` when the sequences do not fit.
        """
        state, room = self._memory("state", batch, context), self.kv_room()
        if state > room:
            raise CapacityError(f"{batch:,} sequences of {context:,} tokens take {state / 1e9:.1f} GB on each GPU, there are "
                                f"{room / 1e9:.1f} GB; {self.largest_batch(context):,} fit")
        held = self.value(capacity.held_back_bytes)
        return {"weights": self._memory("weights"), "state": state, "free": room - state, "held back": held}

    def kv_blocks(self, block_tokens: int = 16) -> int:
        """Blocks of a paged cache, for a cache that grows with every token; what an engine prints when it starts.

        Raises `CapacityError` for a cache that stops growing.
        """
        if not self.value(capacity.growing_bytes_per_token):
            raise CapacityError(f"the cache of {self.model.name} stops growing, so that no number of tokens fills it; largest_batch "
                                f"says how many sequences fit")
        tokens = self.value(capacity.tokens_that_fit, block_tokens=block_tokens, weight_bytes_per_gpu=self._memory("weights"))
        return int(tokens * self.layout.stages) // block_tokens

    # --- time ------------------------------------------------------------------------------------

    def step(self, batch, context) -> dict:
        """Seconds of one decode step by part, for `batch` sequences of `context` tokens in one replica: "weights", "state",
        "computing" (what it takes longer than reading), "communication", "fixed", and "step", their sum.

        With pipeline stages, each holds a micro-batch of at least one sequence, and a step is the way of one through all of them.
        """
        given = {"batch": numpy.maximum(numpy.asarray(batch) / self.layout.stages, 1), "context": context}
        given["message_bytes"] = self.value(parallelism.step_message_bytes, **given)
        parts = {"weights": self.value(engine_steps.weight_step_seconds, **given),
                 "state": self.value(engine_steps.state_step_seconds, **given),
                 "computing": self.value(engine_steps.waiting_for_compute_seconds, **given),
                 "communication": self.value(parallelism.tensor_seconds, **given) + self._between_stages(given["message_bytes"]),
                 "fixed": self.value(engine_steps.fixed_step_seconds)}
        return parts | {"step": sum(parts.values())}

    def _between_stages(self, message_bytes):
        if self.layout.stages == 1:
            return 0.0
        return (self.layout.stages - 1) * self.value(collectives.point_to_point_seconds, message_bytes=message_bytes)

    def prefill_seconds(self, prompt_tokens, prompts=1):
        """Seconds of a prefill pass over `prompts` prompts."""
        message = self.value(engine_steps.prompt_message_bytes, prompts=prompts, prompt_tokens=prompt_tokens)
        alone = self.value(engine_steps.reached_prefill_seconds, prompts=prompts, prompt_tokens=prompt_tokens, message_bytes=message)
        return alone + self._between_stages(message)

    def prompt_engine_seconds(self, prompt_tokens):
        """Seconds for which one prompt keeps a replica from other work: stages work on others meanwhile."""
        return self.prefill_seconds(prompt_tokens) / self.layout.stages

    # --- under a load ---------------------------------------------------------------------------------

    def resident_seconds(self, prompt_tokens: int, output_tokens: int) -> numpy.ndarray:
        """[B] seconds of a request in a batch that stays 1, 2, … as large as fits.

        Raises `CapacityError` where not one fits, or for a request without a token.
        """
        if not (prompt_tokens >= 1 and output_tokens >= 1):
            raise CapacityError(f"{prompt_tokens} prompt and {output_tokens} output tokens; a request has at least one of both")
        context = phases.mean_context(prompt_tokens, output_tokens)
        most = self.largest_batch(context)
        if most < 1:
            raise CapacityError(f"not one sequence of {context:,.0f} tokens fits beside the weights of {self.model.name}; "
                                f"use more GPUs for a replica, fewer bytes, or shorter requests")
        batches = numpy.arange(1, most + 1)
        return load.resident_seconds(batches, output_tokens, self.step(batches, context)["step"], self.prompt_engine_seconds(prompt_tokens))

    def under_load(self, rate, prompt_tokens: int, output_tokens: int) -> "Operation":
        """What `rate` requests each second, over all replicas, make of the service; `rate` may be an array.

        Raises `ValueError` for a rate that is not positive and finite, and `CapacityError` where not one request fits.
        """
        return Operation(self, rate, prompt_tokens, output_tokens)

    def largest_rate(self, prompt_tokens: int, output_tokens: int, ttft_limit: float = inf, tpot_limit: float = inf,
                     quantile: float = 0.99) -> float:
        """Largest rate, over all replicas, at which this share of the requests keeps both limits; found by bisection.

        Without limits it is the saturation rate. Raises `CapacityError` when a request alone misses a limit.
        """
        highest = self.saturation_rate(prompt_tokens, output_tokens)

        def kept(rate):
            operation = self.under_load(rate, prompt_tokens, output_tokens)
            return bool(operation.ttft_quantile(quantile) <= ttft_limit and operation.tpot_quantile(quantile) <= tpot_limit)

        low, high = highest * 1e-6, highest * (1 - 1e-9)
        if not kept(low):
            alone = self.under_load(low, prompt_tokens, output_tokens)
            raise CapacityError(f"no load keeps TTFT up to {ttft_limit:g} s and TPOT up to {tpot_limit:g} s: a request alone on "
                                f"{self.layout.n_gpus} x {self.gpu.name} takes {float(alone.ttft_quantile(quantile)):.3g} s and "
                                f"{float(alone.tpot_quantile(quantile)) * 1e3:.3g} ms per token; use more GPUs for a replica, fewer bytes, or looser limits")
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if kept(middle) else (low, middle)
        return low

    def saturation_rate(self, prompt_tokens: int, output_tokens: int) -> float:
        """Requests each second, over all replicas, that a full batch ends: with more, queues grow without end."""
        times = self.resident_seconds(prompt_tokens, output_tokens)
        return self.layout.replicas * float(load.service_rate(len(times), times[-1]))

    def frontier(self, prompt_tokens: int, output_tokens: int) -> dict[str, numpy.ndarray]:
        """For each batch that fits, always full: "batch", "tpot" as users see it, "user" and "gpu" tokens per second.

        Replies of one token have no time per output token: "tpot" is 0 for them, and "user" infinite.
        """
        times = self.resident_seconds(prompt_tokens, output_tokens)
        batch = numpy.arange(1, len(times) + 1)
        tpot = load.loaded_tpot(times, self.prompt_engine_seconds(prompt_tokens), output_tokens)
        replies = load.reply_tokens_per_second(load.service_rate(batch, times), output_tokens)
        with numpy.errstate(divide="ignore"):
            return {"batch": batch, "tpot": tpot, "user": 1 / tpot, "gpu": replies / self.layout.n_gpus}


class Operation:
    """A service under one load or an array of loads: everything here is an output of the rate.

    Means and quantiles are those of a chain of batches (`llmcost.queueing.Chain`); the time to first token adds the prompts
    that go first. Times are in seconds, and everything has the shape of the rate; NaN from saturation on. A quantile is a share
    above 0 and below 1, else a `ValueError` is raised.
    """

    def __init__(self, service: Service, rate, prompt_tokens: int, output_tokens: int):
        self.rate = numpy.asarray(rate, dtype=float)
        self.service, self.prompt_tokens, self.output_tokens = service, prompt_tokens, output_tokens
        self._each = self.rate / service.layout.replicas
        self.chain = Chain(service.resident_seconds(prompt_tokens, output_tokens), self._each)
        self._prompt = service.prompt_engine_seconds(prompt_tokens)
        self._own_prompt = service.prefill_seconds(prompt_tokens)

    @property
    def batch(self):
        """Mean batch of a replica."""
        return self.chain.batch

    @property
    def utilization(self):
        """Load as a share of what the full batch ends."""
        return self.chain.overflow

    @property
    def output_tokens_per_second(self):
        """Over all replicas; NaN where the load cannot be served."""
        return numpy.where(self.chain.overflow < 1, load.reply_tokens_per_second(self.rate, self.output_tokens), numpy.nan)

    def _step(self, batch):
        context = phases.mean_context(self.prompt_tokens, self.output_tokens)
        return self.service.step(numpy.maximum(batch, 1), context)["step"]

    def _prompt_queue(self):
        return load.prompt_queue_seconds(self._each, self._prompt)

    @property
    def ttft(self):
        """Mean time to first token."""
        return self.chain.wait_seconds + load.loaded_ttft(self._prompt_queue(), self._step(self.batch), self._own_prompt)

    @property
    def tpot(self):
        """Mean time per output token."""
        in_batch = self.chain.batch / self.chain.rate  # Little's law
        return load.loaded_tpot(in_batch, self._prompt, self.output_tokens)

    @property
    def request_seconds(self):
        """Mean time from arrival to the last token."""
        return self.ttft + (self.output_tokens - 1) * self.tpot

    def tpot_quantile(self, quantile: float):
        """Time per output token in the batch that is exceeded for the rest of the time only.

        A bound for long replies, which see many batches and average over them.
        """
        batch = numpy.maximum(self.chain.batch_quantile(quantile), 1)
        times = load.resident_seconds(batch, self.output_tokens, self._step(batch), self._prompt)
        return load.loaded_tpot(times, self._prompt, self.output_tokens)

    def ttft_quantile(self, quantile: float):
        """The wait for a place that the rest of the requests exceeds, the prompts before it, a step, and its own prompt.

        The queue of prompts is taken as exponential with its mean.
        """
        wait, batch = self.chain.wait_quantile(quantile), numpy.maximum(self.chain.batch_quantile(quantile), 1)
        busy = self._each * self._prompt  # share of the time in which a prompt finds others before it
        prompts = self._prompt_queue() / busy * numpy.log(numpy.maximum(busy / (1 - quantile), 1))
        return wait + load.loaded_ttft(prompts, 2 * self._step(batch), self._own_prompt)

    def usd_per_token(self, gpu_price: float):
        """Rent of all GPUs over all output tokens, at this load, in USD; `gpu_price` is that of one GPU in USD per second."""
        return gpu_price * self.service.layout.total_gpus / self.output_tokens_per_second


def fewest_gpus(service: Service, rate: float, prompt_tokens: int, output_tokens: int, ttft_limit: float = inf,
                tpot_limit: float = inf, quantile: float = 0.99, groups=(1, 2, 4, 8)) -> list[tuple[int, Service]]:
    """Layouts that serve `rate` within the limits, the fewest GPUs first: (GPUs, service with its replicas).

    Each size of a tensor-parallel group in `groups` is tried, with as many replicas as it takes.

    Raises `CapacityError` for a rate that is not positive and finite, and with the reason of each group when none will do.
    """
    if not isfinite(rate) or rate <= 0:
        raise CapacityError(f"rate = {rate!r}; it must be a positive number of requests each second")
    found, reasons = [], []
    for group in groups:
        try:
            one = replace(service, layout=replace(service.layout, tensor=group, replicas=1))
            each = one.largest_rate(prompt_tokens, output_tokens, ttft_limit, tpot_limit, quantile)
        except (LayoutError, CapacityError) as error:
            reasons.append(f"{group}: {error}")
            continue
        fleet = replace(one, layout=replace(one.layout, replicas=int(load.replicas_for_rate(rate, each))))
        found.append((fleet.layout.total_gpus, fleet))
    if not found:
        raise CapacityError("no group of GPUs will do. " + (" | ".join(reasons) or "groups is empty"))
    return sorted(found, key=lambda pair: pair[0])
