"""A request-level simulation of an inference engine: who is in the batch at each step, and who waits.

Requests arrive, wait, are prefilled, decode one token in each step, and leave. A policy says what goes into a step:

- *static*: a batch is prefilled, then decodes until its last request ends; who comes later waits for all of that;
- *continuous*: requests join and leave between steps; a waiting prompt goes first and holds the others up;
- *chunked*: the same, with prompts cut into chunks that share steps with the decoding requests.

The time of a step comes from outside, as a function of what is in it. Between two events (someone joins, leaves, or memory
runs out) steps differ only in the length of the contexts, so they are taken together. No step is approximated.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

from .engine import Engine, check_engine
from .prefix_cache import PrefixCache
from .workload import Request, Run, check_requests

StepSeconds = Callable[[float, float, float, numpy.ndarray], numpy.ndarray]
"""Seconds of steps from (prompt tokens, pairs of a prompt token and one it sees, decoding sequences, their contexts together).

The last is an array, one number for each step; so is the result.
"""


def simulate(requests: Sequence[Request], engine: Engine, step_seconds: StepSeconds, record: bool = False) -> Run:
    """Run all `requests` to their end.

    Raises `TraceError` for requests or an engine that make no sense, before anything is run. A request that could never
    run is rejected with its reason in the result, and holds nobody up.
    """
    check_engine(engine)
    check_requests(requests)
    return _Simulation(requests, engine, step_seconds, record).run()


@dataclass
class _Sequence:
    """A request on its way: what is left of its prompt, what it has written, when it was let in."""

    number: int
    order: int = 0
    to_prefill: int = 0
    length: int = 0
    written: int = 0
    ends: int = 0
    last: float = numpy.nan


class _Simulation:
    def __init__(self, requests, engine, step_seconds, record):
        self.requests, self.engine, self.step_seconds, self.record = requests, engine, step_seconds, record
        self.arrivals = [(request.arrival, i) for i, request in enumerate(requests) if request.after is None]
        heapq.heapify(self.arrivals)
        self.followers: dict[int, list[int]] = {}
        for i, request in enumerate(requests):
            if request.after is not None:
                self.followers.setdefault(request.after, []).append(i)
        empty = [numpy.full(len(requests), numpy.nan) for _ in range(2)]
        self.out = Run(*(numpy.array([getattr(r, name) for r in requests], dtype=float)
                         for name in ("arrival", "prompt_tokens", "output_tokens")), *empty, *numpy.zeros((3, len(requests))))
        self.prefixes = PrefixCache(engine.prefix_capacity, engine.prefix_ttl)
        self.waiting, self.now, self.order, self.counter = deque(), 0.0, 0, 0
        self.prefilling: dict[int, _Sequence] = {}
        self.decoding: dict[int, _Sequence] = {}
        self.ending: list = []  # heap of (decode step at which it ends, number)
        self.free, self.context = engine.kv_blocks, 0
        self.growing = [0] * engine.block_tokens  # decoding sequences by the step, modulo the block, that needs a new block
        self.held: list[_Sequence] = []  # of a static batch: ended, with its slot and memory kept

    # --- coming in and going out ---------------------------------------------------------------

    def run(self) -> Run:
        """All of it."""
        while self.arrivals or self.waiting or self.prefilling or self.decoding:
            self._arrive()
            if not (self.waiting or self.prefilling or self.decoding):
                if not self.arrivals:
                    break
                begin = self.arrivals[0][0]
                self.out.seconds["idle"] += begin - self.now
                self.now = begin
                continue
            self._admit()
            self._step()
        return self.out

    def _arrive(self):
        """Queue who has come; reject who can never be served."""
        while self.arrivals and self.arrivals[0][0] <= self.now:
            number = heapq.heappop(self.arrivals)[1]
            request = self.requests[number]
            most = request.prompt_tokens + request.output_tokens - 1  # tokens whose keys and values it may need at once
            needed = self._blocks(most)
            if needed > self.engine.kv_blocks:
                self.out.rejected[number] = f"needs {needed} blocks of cache, the engine has {self.engine.kv_blocks}"
            elif self.engine.policy == "continuous" and most > self.engine.max_batched_tokens:
                self.out.rejected[number] = (f"may need {most} tokens in one step, the budget is "
                                             f"{self.engine.max_batched_tokens} and prompts are not cut")
            else:
                self.waiting.append(_Sequence(number))
                continue
            self._call_followers(number)

    def _call_followers(self, number):
        """Who waited for this request to end, or to be rejected, comes after a while."""
        for follower in self.followers.get(number, ()):
            self.out.arrival[follower] = self.now + self.requests[follower].arrival
            heapq.heappush(self.arrivals, (self.out.arrival[follower], follower))

    def _blocks(self, tokens):
        return -(-tokens // self.engine.block_tokens)

    def _admit(self):
        """Let waiting requests in, first come first, while there is a slot, budget and memory for the prompt."""
        engine = self.engine
        if engine.policy == "static" and (self.prefilling or self.decoding):
            return
        budget = engine.max_batched_tokens
        while self.waiting and len(self.prefilling) + len(self.decoding) < engine.max_sequences:
            sequence = self.waiting[0]
            request = self.requests[sequence.number]
            tokens = request.prompt_tokens + sequence.written  # what it wrote before it lost its memory is prompt now
            room = request.prompt_tokens + request.output_tokens - 1 if engine.policy == "static" else tokens
            if self._blocks(room) > self.free or (engine.policy == "continuous" and tokens > budget):
                return
            self.waiting.popleft()
            known = min(self.prefixes.find(request.prefix, self.now), request.prefix_tokens, tokens - 1) if request.prefix else 0
            if not sequence.written:
                self.out.cached[sequence.number] = known
                known = max(known, request.known_tokens)
            sequence.order, sequence.length, sequence.to_prefill = self.order, known, tokens - known
            self.order += 1
            self.free -= self._blocks(room)
            self.out.peak_blocks = max(self.out.peak_blocks, engine.kv_blocks - self.free)
            self.prefilling[sequence.number] = sequence
            budget -= tokens

    # --- steps ------------------------------------------------------------------------------------

    def _step(self):
        """One step with prompts in it, or as many decode steps as are alike."""
        decodes = 0
        if self.engine.policy == "chunked" and self.prefilling:
            self._make_room(1)
            decodes = len(self.decoding)
        chunks = self._chunks(self.engine.max_batched_tokens - decodes)
        if chunks:
            self._prefill(chunks, decodes)
        elif self.decoding:
            self._decode()

    def _chunks(self, budget):
        """What each prompt gets of the budget of a step, in the order in which they were let in."""
        found = []
        for sequence in self.prefilling.values():
            if budget <= 0:
                break
            found.append((sequence, min(budget, sequence.to_prefill)))
            budget -= found[-1][1]
        return found

    def _prefill(self, chunks, decodes):
        """One step with prompts, beside one token of each of `decodes` sequences, which is none or all."""
        tokens = sum(count for _, count in chunks)
        pairs = sum(count * sequence.length + count * (count + 1) / 2 for sequence, count in chunks)
        contexts = numpy.array([float(self.context + decodes)]) if decodes else numpy.zeros(1)
        self._pass(float(self.step_seconds(tokens, pairs, decodes, contexts)[0]), tokens, decodes)
        if decodes:
            self._grow(1)
        for sequence, count in chunks:
            sequence.length, sequence.to_prefill = sequence.length + count, sequence.to_prefill - count
            if not sequence.to_prefill:
                self._first_token(sequence)

    def _first_token(self, sequence):
        """A prompt is done: its request has a token more, and decodes or ends."""
        request, number = self.requests[sequence.number], sequence.number
        del self.prefilling[number]
        if request.prefix:
            self.prefixes.keep(request.prefix, request.prompt_tokens, self.now)
        sequence.written += 1
        if sequence.written == 1:
            self.out.first[number] = self.now
        else:
            self._gap(sequence, self.now - sequence.last)
        sequence.last = self.now
        sequence.ends = self.counter + request.output_tokens - sequence.written
        self.decoding[number] = sequence
        self.context += sequence.length
        self.growing[self._phase(sequence)] += 1
        heapq.heappush(self.ending, (sequence.ends, number, sequence.order))
        self._leave()

    def _phase(self, sequence):
        """The decode step, modulo the block, at which the sequence needs a new block."""
        return (self.counter - sequence.length) % self.engine.block_tokens

    def _decode(self):
        """All decode steps until something changes."""
        steps = self._steps_alike()
        begin, batch = self.now, len(self.decoding)
        contexts = self.context + batch * numpy.arange(1.0, steps + 1)
        times = numpy.cumsum(self.step_seconds(0, 0, batch, contexts))
        soonest = self.arrivals[0][0] - begin if self.arrivals else numpy.inf
        if self.engine.policy != "static" and len(self.decoding) < self.engine.max_sequences:
            steps = min(steps, int(numpy.searchsorted(times, soonest)) + 1)  # who comes is seen after the step that is under way
        longest = numpy.diff(times[:steps]).max(initial=0.0)
        self._pass(float(times[0]), 0, batch, float(times[steps - 1]), steps, float(longest))
        self._grow(steps)

    def _steps_alike(self):
        """Decode steps until the first sequence ends, or until there is no block for the next step."""
        while self.ending and not self._is_current(self.ending[0]):
            heapq.heappop(self.ending)
        steps = self.ending[0][0] - self.counter
        if self.engine.policy == "static":
            return steps
        while (fits := self._steps_that_fit(steps)) == 0:
            self._preempt()
            if not self.decoding:
                return 0
            while not self._is_current(self.ending[0]):
                heapq.heappop(self.ending)
            steps = self.ending[0][0] - self.counter
        return min(steps, fits)

    def _steps_that_fit(self, steps):
        """How many of the next `steps` steps the free blocks last for."""
        size, free = self.engine.block_tokens, self.free
        rounds = min(free // len(self.decoding), steps // size) if self.decoding else 0
        free -= rounds * len(self.decoding)
        done = rounds * size
        while done < steps:
            free -= self.growing[(self.counter + done) % size]
            if free < 0:
                break
            done += 1
        return done

    def _make_room(self, steps):
        """Preempt until the next `steps` decode steps have their blocks."""
        while self.decoding and self._steps_that_fit(steps) < steps:
            self._preempt()

    def _preempt(self):
        """The request that came in last gives its memory back, and waits to be computed again."""
        victim = max([*self.decoding.values(), *self.prefilling.values()], key=lambda sequence: sequence.order)
        if victim.number in self.decoding:
            self._forget(victim)
        else:
            del self.prefilling[victim.number]
        self.free += self._blocks(max(victim.length + victim.to_prefill, 1))
        victim.length = victim.to_prefill = 0
        self.out.preemptions[victim.number] += 1
        self.waiting.appendleft(victim)

    def _is_current(self, entry):
        """Whether an entry of the heap of endings still holds: a request that was preempted has another."""
        _, number, order = entry
        return number in self.decoding and self.decoding[number].order == order

    def _grow(self, steps):
        """Every decoding sequence is `steps` tokens longer; who is done leaves."""
        size, batch = self.engine.block_tokens, len(self.decoding)
        if self.engine.policy != "static":
            self.free -= steps // size * batch + sum(self.growing[(self.counter + i) % size] for i in range(steps % size))
            self.out.peak_blocks = max(self.out.peak_blocks, self.engine.kv_blocks - self.free)
        self.counter += steps
        self.context += steps * batch
        for sequence in self.decoding.values():
            sequence.length += steps
            sequence.written += steps
            sequence.last = self.now
        self._leave()

    def _leave(self):
        """Requests whose last token is written end here."""
        while self.ending and (not self._is_current(self.ending[0]) or self.ending[0][0] <= self.counter):
            entry = heapq.heappop(self.ending)
            if not self._is_current(entry):
                continue
            sequence = self.decoding[entry[1]]
            self._forget(sequence)
            self.out.end[sequence.number] = self.now
            if prefix := self.requests[sequence.number].prefix:
                self.prefixes.keep(prefix, sequence.length, self.now)
            self._call_followers(sequence.number)
            if self.engine.policy == "static":
                self.held.append(sequence)
            else:
                self.free += self._blocks(sequence.length)
        if self.held and not (self.prefilling or self.decoding):
            self.free, self.held = self.engine.kv_blocks, []

    def _forget(self, sequence):
        """Take a sequence out of the decoding ones."""
        del self.decoding[sequence.number]
        self.context -= sequence.length
        self.growing[self._phase(sequence)] -= 1

    # --- time ---------------------------------------------------------------------------------------

    def _pass(self, first_step, prompt_tokens, decodes, seconds=None, steps=1, longest=0.0):
        """Time passes: `steps` steps, the first of which takes `first_step`, and none of the others more than `longest`."""
        seconds = first_step if seconds is None else seconds
        begin, self.now = self.now, self.now + seconds
        self.out.seconds["mixed" if prompt_tokens and decodes else "prefill" if prompt_tokens else "decode"] += seconds
        self.out.steps += steps
        if self.engine.policy == "static":
            self.out.slot_steps += steps * (decodes + len(self.held)) if not prompt_tokens else 0
            self.out.wasted_slot_steps += steps * len(self.held) if not prompt_tokens else 0
        if decodes:
            for sequence in self.decoding.values():
                self._gap(sequence, max(begin + first_step - sequence.last, longest))
        if self.record:
            context = self.context / decodes + (steps + 1) / 2 if decodes else 0.0
            self.out.timeline.append((begin, self.now, prompt_tokens, decodes, steps, context))

    def _gap(self, sequence, seconds):
        if seconds > self.out.worst_gap[sequence.number]:
            self.out.worst_gap[sequence.number] = seconds
