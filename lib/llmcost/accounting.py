"""Where did my GPU-hour go: the time that is paid for, by use, from a simulated day or from the counters of an engine."""

from collections.abc import Mapping

import numpy

from . import economics, phases
from .serving import Service
from .workload import Run

USES = ("idle", "prefill", "decode: weights", "decode: state", "decode: computing", "decode: communication", "decode: fixed")
"""Uses of the time, in the order in which they are told; they add up to all of it."""

_PARTS = {use: use.partition(": ")[2] for use in USES if ": " in use}


class MeterError(ValueError):
    """Counters that cannot be true of the service: the message says which, and what they come to."""


def time_of_run(service: Service, run: Run) -> dict[str, float]:
    """Seconds of one replica by use, of a run that was simulated with `record=True`.

    A step that holds prompts and decoding sequences counts as decode what it would take without the prompts, and the rest as
    prefill. The parts of a step are those at the mean context of its stretch.

    Raises `MeterError` for a run without a timeline.
    """
    if not run.timeline:
        raise MeterError("the run has no timeline; simulate it with record=True")
    begin, end, prompt_tokens, decoding, _, context = numpy.array(run.timeline).T
    parts = service.step(numpy.maximum(decoding, 1), numpy.maximum(context, 1))
    beside_prompts = numpy.where(decoding > 0, numpy.minimum(parts["step"], end - begin), 0)
    decode = numpy.where(prompt_tokens > 0, beside_prompts, end - begin)
    found = {use: float((decode * parts[part] / parts["step"]).sum()) for use, part in _PARTS.items()}
    found["prefill"] = float((end - begin - decode).sum())
    found["idle"] = run.seconds["idle"]
    return {use: found[use] for use in USES}


def time_of_counters(service: Service, period_seconds: float, requests: float, prompt_tokens: float, output_tokens: float,
                     running: float) -> dict[str, float]:
    """Seconds of one replica by use, from what an engine counts over a period.

    Parameters
    ----------
    period_seconds : length of the period
    requests, prompt_tokens, output_tokens : totals of the period, cached prompt tokens left out
    running : mean number of requests in the batch while there was one, so at least 1

    Raises `MeterError` for counters that are not positive, that contradict each other, or that take more time than there was.
    """
    counters = {"period_seconds": period_seconds, "requests": requests, "prompt_tokens": prompt_tokens, "output_tokens": output_tokens,
                "running": running}
    for name, value in counters.items():
        if not 0 < value < numpy.inf:
            raise MeterError(f"{name} = {value!r}; it must be above 0")
    if running < 1:
        raise MeterError(f"running = {running:g}; a batch holds at least one request: leave out the time in which there was none")
    if output_tokens < requests:
        raise MeterError(f"{output_tokens:,.0f} output tokens for {requests:,.0f} requests; each has at least one")
    each = prompt_tokens / requests
    context = phases.mean_context(each, output_tokens / requests)
    step = service.step(running, context)
    decoded = (output_tokens - requests) / period_seconds  # the first token of a reply comes from its prompt
    shares = {use: economics.decode_time_share(decoded, running, step[part]) for use, part in _PARTS.items()}
    shares["prefill"] = economics.prefill_time_share(requests / period_seconds, service.prompt_engine_seconds(each))
    used = sum(shares.values())
    if used > 1:
        raise MeterError(f"these counters take {used:.2f} times the period: {shares['prefill']:.2f} of it for prompts and "
                         f"{used - shares['prefill']:.2f} for steps of {running:g} sequences; were the cached prompt tokens left out, "
                         f"is `running` the mean of a replica, and are these the counters of one replica?")
    shares["idle"] = economics.idle_time_share(shares["prefill"], used - shares["prefill"])
    return {use: float(shares[use] * period_seconds) for use in USES}


def dollars(service: Service, seconds: Mapping[str, float], gpu_price: float) -> dict[str, float]:
    """Rent of one replica by use, in USD; `gpu_price` is that of one GPU in USD per second."""
    rent = economics.hardware_price(gpu_price, service.layout.n_gpus)
    return {use: economics.period_usd(rent, spent) for use, spent in seconds.items()}
