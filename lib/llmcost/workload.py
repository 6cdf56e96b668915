"""What is asked of an engine, and what became of it: requests, and the times of their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy


class TraceError(ValueError):
    """Requests or an engine that cannot be simulated: the message says which row, what was given and what is needed."""


@dataclass(frozen=True)
class Request:
    """One request: when it comes, in seconds, and its tokens.

    `prefix` names what it shares with earlier ones, a conversation or a template; a prefix cache may hold the first
    `prefix_tokens` tokens of its prompt. With `after`, the place in the list of an earlier request, it comes `arrival` seconds
    after that one has ended: a person who reads, thinks and asks again. `known_tokens` of its prompt bring their keys and
    values along, as from another machine.
    """

    arrival: float
    prompt_tokens: int
    output_tokens: int
    id: str = ""
    prefix: str = ""
    prefix_tokens: int = 0
    after: int | None = None
    known_tokens: int = 0


def check_requests(requests: Sequence[Request]) -> None:
    """Raise `TraceError`, with the number of the row, unless every request makes sense."""
    if not len(requests):
        raise TraceError("no requests: a trace needs at least one")
    seen = {}
    for row, request in enumerate(requests, start=1):
        if not isinstance(request.arrival, (int, float, numpy.number)) or not 0 <= request.arrival < numpy.inf:
            raise TraceError(f"request {row} arrives at {request.arrival!r}; it must be a number of seconds from 0 on")
        for name, least in (("prompt_tokens", 1), ("output_tokens", 1), ("prefix_tokens", 0), ("known_tokens", 0)):
            value = getattr(request, name)
            if not isinstance(value, (int, numpy.integer)) or isinstance(value, bool) or value < least:
                raise TraceError(f"request {row} has {name} = {value!r}; it must be a whole number from {least} on")
        if request.prefix_tokens > request.prompt_tokens:
            raise TraceError(f"request {row} shares {request.prefix_tokens} tokens of a prompt of {request.prompt_tokens}")
        if request.known_tokens >= request.prompt_tokens:
            raise TraceError(f"request {row} brings {request.known_tokens} tokens of a prompt of {request.prompt_tokens}; the last one "
                             f"is always computed")
        if request.after is not None and request.after not in range(row - 1):
            raise TraceError(f"request {row} comes after request {request.after!r}, counted from 0, which does not stand before it")
        if request.id and request.id in seen:
            raise TraceError(f"request {row} has the id {request.id!r} of request {seen[request.id]}")
        seen[request.id] = row


def check_counts(**given: int) -> None:
    """Raise `TraceError`, with the name, unless every value is a whole number from 1 on."""
    for name, value in given.items():
        if not isinstance(value, (int, numpy.integer)) or isinstance(value, bool) or value < 1:
            raise TraceError(f"{name} = {value!r}; it must be a whole number from 1 on")


@dataclass
class Run:
    """What happened to each request, in the order given, in seconds; NaN where it was rejected.

    Attributes
    ----------
    first : time of the first token
    end : time of the last token
    worst_gap : longest wait between two tokens
    cached : prompt tokens found in the prefix cache
    preemptions : times that the request lost its memory and was computed again
    rejected : reason by number of the request
    seconds : time of the engine by use: "prefill", "decode", "mixed", "idle"
    steps : number of steps
    peak_blocks : most blocks in use at once
    slot_steps, wasted_slot_steps : slots of static batches times steps, and those whose request had ended
    timeline : (begin, end, prompt tokens, decoding requests, steps, their mean context) of each stretch of equal steps, if recorded
    """

    arrival: numpy.ndarray
    prompt_tokens: numpy.ndarray
    output_tokens: numpy.ndarray
    first: numpy.ndarray
    end: numpy.ndarray
    worst_gap: numpy.ndarray
    cached: numpy.ndarray
    preemptions: numpy.ndarray
    rejected: dict[int, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("prefill", "decode", "mixed", "idle"), 0.0))
    steps: int = 0
    peak_blocks: int = 0
    slot_steps: int = 0
    wasted_slot_steps: int = 0
    timeline: list = field(default_factory=list)

    @property
    def ttft(self) -> numpy.ndarray:
        """Time to first token of each request."""
        return self.first - self.arrival

    @property
    def tpot(self) -> numpy.ndarray:
        """Time per output token after the first; NaN for replies of one token."""
        with numpy.errstate(divide="ignore", invalid="ignore"):
            return numpy.where(self.output_tokens > 1, (self.end - self.first) / (self.output_tokens - 1), numpy.nan)

    @property
    def served(self) -> numpy.ndarray:
        """Whether each request was served."""
        return ~numpy.isnan(self.end)

    @property
    def makespan(self) -> float:
        """Seconds from the first arrival to the last token."""
        return float(numpy.nanmax(self.end) - self.arrival.min()) if self.served.any() else 0.0

    @property
    def hit_rate(self) -> float:
        """Share of the prompt tokens of served requests that the prefix cache had."""
        total = self.prompt_tokens[self.served].sum()
        return float(self.cached[self.served].sum() / total) if total else 0.0

    def goodput(self, ttft: float, tpot: float) -> float:
        """Requests each second that kept both limits."""
        kept = self.served & (self.ttft <= ttft) & ~(self.tpot > tpot)
        return kept.sum() / self.makespan if self.makespan else 0.0
