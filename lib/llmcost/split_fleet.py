"""Fleets with prefill and decode on machines of their own: how many instances of each a load takes, and against one for both.

    >>> from llmcost.catalog import ASSUMED, GPUS, MODELS
    >>> from llmcost.layouts import Layout
    >>> from llmcost.serving import Service
    >>> service = Service(MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16"), ASSUMED, Layout(tensor=4))
    >>> fleet = split_fleet(service, service, rate=20, prompt_tokens=2048, output_tokens=512, tpot_limit=0.05)
    >>> fleet.n_prefill, fleet.n_decode, fleet.batch
    (4, 2, 202)
"""

from dataclasses import dataclass
from math import ceil, inf, isfinite

import numpy

from . import attention, disaggregation, phases
from .serving import CapacityError, Service


@dataclass(frozen=True)
class SplitFleet:
    """What a load takes with both phases apart.

    Attributes
    ----------
    n_prefill, n_decode : instances of each kind, whole
    per_decode : instances that prefill for each that decodes, as a fraction
    batch : sequences in an instance that decodes
    tpot, prompt_seconds, transfer_seconds : seconds for a token, for a prompt on the GPUs that it has, and for its state on the way
    link_use : share of the time in which the links of the instances that prefill are busy with that state
    n_gpus : GPUs of all instances
    """

    n_prefill: int
    n_decode: int
    per_decode: float
    batch: int
    tpot: float
    prompt_seconds: float
    transfer_seconds: float
    link_use: float
    n_gpus: int


def split_fleet(prefill: Service, decode: Service, rate: float, prompt_tokens: int, output_tokens: int, tpot_limit: float = inf,
                prefill_busy: float = 0.8, cached_share: float = 0.0, transfer_bandwidth: float = 50e9,
                link_efficiency: float = 0.8) -> SplitFleet:
    """The fewest instances of `prefill` and of `decode` that take `rate` requests each second.

    Decode runs the largest batch that fits and keeps `tpot_limit`; prefill is busy for `prefill_busy` of the time, and computes
    what no cache has: `cached_share` of each prompt is read. The state of a prompt travels at `transfer_bandwidth` bytes per second
    from each GPU.

    Raises `CapacityError` for a rate or lengths that cannot be, where not one sequence fits, and where a batch of one misses the limit.
    """
    _check(rate, prompt_tokens, output_tokens, prefill_busy, cached_share)
    if not (0 < transfer_bandwidth < inf and 0 < link_efficiency <= 1):
        raise CapacityError(f"transfer_bandwidth = {transfer_bandwidth!r}, link_efficiency = {link_efficiency!r}; the first is a positive number "
                            f"of bytes per second, the second above 0 and at most 1")
    batch = largest_batch_within(decode, phases.mean_context(prompt_tokens, output_tokens), tpot_limit)
    tpot = float(decode.step(batch, phases.mean_context(prompt_tokens, output_tokens))["step"])
    seconds = fresh_prompt_seconds(prefill, prompt_tokens, cached_share)
    each_prefill = disaggregation.prefill_rate(seconds, prefill_busy)
    each_decode = disaggregation.decode_rate(batch, output_tokens, tpot)
    state = prefill.value(attention.state_bytes, context=prompt_tokens)
    transfer = disaggregation.kv_transfer_seconds(state, transfer_bandwidth * prefill.layout.n_gpus / prefill.groups, link_efficiency)
    n_prefill, n_decode = max(ceil(rate / each_prefill), 1), max(ceil(rate / each_decode), 1)
    return SplitFleet(n_prefill, n_decode, disaggregation.prefill_per_decode(each_decode, each_prefill), batch, tpot, seconds * prefill.groups, transfer,
                      disaggregation.transfer_share(rate / n_prefill / prefill.groups, transfer),
                      n_prefill * prefill.layout.n_gpus + n_decode * decode.layout.n_gpus)


def fresh_prompt_seconds(service: Service, prompt_tokens: int, cached_share: float) -> float:
    """Seconds of an instance that a prompt takes whose first part, `cached_share` of it, is found in a cache.

    New tokens are multiplied with the weights and attend to all before them: what the whole prompt takes more than the cached part,
    and at least what a prompt of the new tokens alone takes.
    """
    whole, cached = float(service.prompt_engine_seconds(prompt_tokens)), prompt_tokens * cached_share
    if cached < 1:
        return whole
    alone = float(service.prompt_engine_seconds(max(prompt_tokens - cached, 1)))
    return max(whole - float(service.prompt_engine_seconds(cached)), alone)


def shared_instances(service: Service, rate: float, prompt_tokens: int, output_tokens: int, tpot_limit: float = inf,
                     cached_share: float = 0.0) -> int:
    """Instances that take the same load where each does both phases, prompts first, in batches that stay as large as the limit allows.

    Raises `CapacityError` as `split_fleet` does.
    """
    _check(rate, prompt_tokens, output_tokens, 1.0, cached_share)
    whole, prompt = service.prompt_engine_seconds(prompt_tokens), fresh_prompt_seconds(service, prompt_tokens, cached_share)
    places = 1 + numpy.arange(len(times := service.resident_seconds(prompt_tokens, output_tokens)))
    times = times - places * (whole - prompt)  # what a cache has is not computed
    tpot = (times - prompt) / max(output_tokens - 1, 1)
    kept = numpy.nonzero(tpot <= tpot_limit)[0]
    if not len(kept):
        raise CapacityError(_missed(service, tpot_limit, tpot[0]))
    return max(ceil(rate * times[kept[-1]] / (kept[-1] + 1)), 1)


def largest_batch_within(service: Service, context: float, tpot_limit: float) -> int:
    """Sequences of `context` tokens, as many as fit and keep `tpot_limit` in a batch that only decodes.

    Raises `CapacityError` where not one does.
    """
    most = service.largest_batch(context)
    if most < 1:
        raise CapacityError(f"not one sequence of {context:,.0f} tokens fits beside the weights of {service.model.name}; use more GPUs "
                            f"for an instance, fewer bytes, or shorter requests")
    steps = service.step(numpy.arange(1, most + 1), context)["step"]
    kept = numpy.nonzero(steps <= tpot_limit)[0]
    if not len(kept):
        raise CapacityError(_missed(service, tpot_limit, steps[0]))
    return int(kept[-1]) + 1


def _missed(service, tpot_limit, seconds):
    return (f"no batch keeps {tpot_limit * 1e3:.3g} ms per output token: a sequence alone takes {float(seconds) * 1e3:.3g} ms on "
            f"{service.layout.n_gpus} x {service.gpu.name}; use more GPUs for an instance, fewer bytes, or a looser limit")


def _check(rate, prompt_tokens, output_tokens, prefill_busy, cached_share):
    if not isfinite(rate) or rate <= 0:
        raise CapacityError(f"rate = {rate!r}; it must be a positive number of requests each second")
    if not (1 <= prompt_tokens < inf and 2 <= output_tokens < inf):
        raise CapacityError(f"{prompt_tokens} prompt and {output_tokens} output tokens; decode needs a prompt and a second token")
    if not (0 < prefill_busy <= 1 and 0 <= cached_share < 1):
        raise CapacityError(f"prefill_busy = {prefill_busy!r}, cached_share = {cached_share!r}; the first is above 0 and at most 1, the "
                            f"second from 0 and below 1")
