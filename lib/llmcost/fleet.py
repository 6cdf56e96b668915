"""Several engines behind one door: replicas that take turns, and prefill and decode on machines of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy

from .engine import Engine, check_engine
from .scheduling import StepSeconds, simulate
from .workload import Request, Run, TraceError, check_counts, check_requests


def simulate_fleet(requests: Sequence[Request], engine: Engine, step_seconds: StepSeconds, replicas: int) -> Run:
    """`requests` over `replicas` of an engine, in turn; who comes after another request goes where that one went.

    Raises `TraceError` as `llmcost.scheduling.simulate` does.
    """
    check_engine(engine)
    check_requests(requests)
    check_counts(replicas=replicas)
    home: list[int] = []
    order = sorted((i for i, request in enumerate(requests) if request.after is None), key=lambda i: (requests[i].arrival, i))
    turn = {i: place % replicas for place, i in enumerate(order)}
    for i, request in enumerate(requests):
        home.append(turn[i] if request.after is None else home[request.after])
    parts = []
    for replica in range(replicas):
        places = [i for i, at in enumerate(home) if at == replica]
        if places:
            new = {old: i for i, old in enumerate(places)}
            moved = [replace(requests[i], after=None if requests[i].after is None else new[requests[i].after]) for i in places]
            parts.append((places, simulate(moved, engine, step_seconds)))
    return _joined(requests, parts, replicas)


@dataclass(frozen=True)
class Split:
    """Prefill and decode on machines of their own.

    Attributes
    ----------
    prefill, decode : the engines of each kind
    prefill_seconds, decode_seconds : time of their steps
    transfer_seconds : time to hand over the keys and values of so many tokens
    n_prefill, n_decode : replicas of each kind
    """

    prefill: Engine
    decode: Engine
    prefill_seconds: StepSeconds
    decode_seconds: StepSeconds
    transfer_seconds: Callable[[int], float]
    n_prefill: int = 1
    n_decode: int = 1


def simulate_split(requests: Sequence[Request], split: Split) -> Run:
    """`requests` that are prefilled on one machine, which gives the first token, and decoded on another.

    Between the two the keys and values of the prompt travel; the second token waits for them. Machines of one kind are idle while
    those of the other still work.

    Raises `TraceError` as `llmcost.scheduling.simulate` does, and for requests that come after others.
    """
    check_requests(requests)
    check_counts(n_prefill=split.n_prefill, n_decode=split.n_decode)
    if late := [i for i, request in enumerate(requests) if request.after is not None]:
        raise TraceError(f"request {late[0] + 1} comes after another; with prefill and decode apart, give each its time of arrival")
    first = simulate_fleet([replace(request, output_tokens=1) for request in requests], split.prefill, split.prefill_seconds, split.n_prefill)
    going = [i for i, request in enumerate(requests) if first.served[i] and request.output_tokens > 1]
    run = replace(first, output_tokens=numpy.array([float(request.output_tokens) for request in requests]), end=first.end.copy())
    until = sum(first.seconds.values()) / split.n_prefill
    if going:
        until = max(until, _decode(run, requests, going, split))
    run.seconds["idle"] += until * (split.n_prefill + split.n_decode) - sum(run.seconds.values())
    return run


def _decode(run, requests, going, split) -> float:
    """Add to `run`, that of the prefill, what decode makes of the requests `going` on; the time at which it ends."""
    handed = [Request(float(run.first[i] + split.transfer_seconds(requests[i].prompt_tokens)), requests[i].prompt_tokens + 1,
                      requests[i].output_tokens - 1, requests[i].id, known_tokens=requests[i].prompt_tokens) for i in going]
    second = simulate_fleet(handed, split.decode, split.decode_seconds, split.n_decode)
    run.end[going] = second.end
    run.worst_gap[going] = numpy.fmax(second.first - run.first[going], second.worst_gap)
    run.first[[i for place, i in enumerate(going) if place in second.rejected]] = numpy.nan
    run.preemptions[going] += second.preemptions
    run.rejected |= {going[place]: f"on the machines that decode: {reason}" for place, reason in second.rejected.items()}
    _add(run, second)
    return sum(second.seconds.values()) / split.n_decode


def _joined(requests, parts, replicas) -> Run:
    """The runs of replicas as one, each request at its place; who is done early is idle until the last is."""
    size = len(requests)
    arrays = {name: numpy.full(size, numpy.nan) for name in ("arrival", "prompt_tokens", "output_tokens", "first", "end", "worst_gap",
                                                             "cached", "preemptions")}
    joined = Run(**arrays)
    until = max(sum(run.seconds.values()) for _, run in parts)
    joined.seconds["idle"] = until * (replicas - len(parts))
    for places, run in parts:
        for name, values in arrays.items():
            values[places] = getattr(run, name)
        joined.rejected |= {places[i]: reason for i, reason in run.rejected.items()}
        joined.seconds["idle"] += until - sum(run.seconds.values())
        _add(joined, run)
    return joined


def _add(run, other):
    """Add the time, steps and slots of another engine."""
    run.seconds = {kind: run.seconds[kind] + other.seconds[kind] for kind in run.seconds}
    run.peak_blocks = max(run.peak_blocks, other.peak_blocks)
    for name in ("steps", "slot_steps", "wasted_slot_steps"):
        setattr(run, name, getattr(run, name) + getattr(other, name))
