"""What a kind of load makes of a replica: throughput, time to first token and time per output token.

Each function takes a `Case` and its `Replica` and gives an `Outcome`. Loads are those of public benchmarks: a batch that starts
together, as many requests as fit, a number of users who always wait for an answer, a rate of requests, and one phase alone.
"""

from dataclasses import dataclass
from math import ceil, inf

LARGEST_PASS = 8192  # prompt tokens in one pass, where nothing else is said: the default of the engines
BUSIEST = 0.95  # share of the time that prompts may take before the load counts as too much
ROUNDS = 40  # of the fixed point between the batch and its time


@dataclass
class Outcome:
    """Of all replicas: output and input tokens per second; of one request: seconds to the first token and for each further one.

    None for what the load does not define, or what a case does not give enough for.
    """

    output_rate: float | None = None
    ttft: float | None = None
    tpot: float | None = None
    input_rate: float | None = None


def batch_together(case, replica) -> Outcome:
    """A batch that starts at once and ends when the last reply does; more than fit go in waves of equal size."""
    fit = max(min(replica.capacity(case.prompt_tokens, case.output_tokens), case.max_sequences), 1.0)
    waves = ceil(case.batch / fit)
    each = case.batch / waves
    first = replica.prefill_seconds(each, case.prompt_tokens, case.largest_pass)
    seconds = waves * (first + _decode(case, replica, each))
    steps = max(case.output_tokens - 1, 1)
    return Outcome(case.replicas * case.batch * case.output_tokens / seconds, first, _decode(case, replica, each) / steps)


def first_token(case, replica) -> Outcome:
    """A batch of prompts until each has its first token."""
    return Outcome(ttft=replica.prefill_seconds(case.batch, case.prompt_tokens, case.largest_pass))


def _decode(case, replica, batch):
    """Seconds of the steps of a batch whose contexts grow together, from four of them."""
    spots = (0.125, 0.375, 0.625, 0.875)
    mean = sum(replica.pass_seconds(batch, case.prompt_tokens + spot * case.output_tokens) for spot in spots) / len(spots)
    return mean * (case.output_tokens - 1)


def as_many_as_fit(case, replica) -> Outcome:
    """All requests at hand at once; as one ends another begins, and at the end a last batch runs dry."""
    stages = replica.placement.stages
    batch = min(replica.capacity(case.prompt_tokens, case.output_tokens), case.max_sequences, case.requests / case.replicas)
    context = case.prompt_tokens + case.output_tokens / 2
    requests = case.requests / case.replicas
    full, rest = divmod(requests, max(batch, 1.0))
    # A stage works on batch / stages sequences at a time, for its share of the layers; the others on theirs.
    each = max(batch / stages, 1.0)
    step, added = replica.pass_seconds(each, context), replica.added_seconds(each, context, case.prompt_tokens * (1 - case.cached_share)) / stages
    seconds = full * (case.output_tokens * step + batch * added)
    if rest >= 1:
        seconds += case.output_tokens * replica.pass_seconds(max(rest / stages, 1.0), context) + rest * added
    rate = case.replicas * requests / seconds
    return Outcome(rate * case.output_tokens, tpot=step + added * batch / case.output_tokens, input_rate=rate * case.prompt_tokens)


def users_who_wait(case, replica) -> Outcome:
    """`case.batch` users, each of whom sends the next request when the last is answered."""
    users, steps = case.batch / case.replicas, max(case.output_tokens - 1, 1)
    fit = max(min(replica.capacity(case.prompt_tokens, case.output_tokens), case.max_sequences), 1.0)
    context, fresh = case.prompt_tokens + case.output_tokens / 2, case.prompt_tokens * (1 - case.cached_share)
    own, batch = replica.prefill_seconds(1, fresh, case.largest_pass), min(users, fit)
    added = replica.added_seconds(max(batch, 1.0), context, fresh, case.largest_pass)
    # Who comes at the start waits for those before, and a pass with prompts also decodes for half of all.
    begun = replica.pass_seconds(batch / 2, case.prompt_tokens) / max(1.0, case.largest_pass // fresh)
    at_start, steps_to_first = case.first_wave * (batch - 1) / 2 * (added + begun), _steps_to_the_first(case, replica)
    for _ in range(ROUNDS):
        step = replica.pass_seconds(max(batch, 1.0), context)
        tpot = step + batch * added / steps
        busy = min(batch * added / (steps * tpot + own), BUSIEST)
        ttft = own + steps_to_first * step + busy * added / 2 / (1 - busy) + at_start
        found = min(users, fit) * steps * tpot / (steps * tpot + ttft)  # a prompt holds its place, too
        if abs(found - batch) < 1e-4 * batch:
            break
        batch = (batch + found) / 2
    if users > fit:  # the others wait for a place, which is free after a stay; who came at the start has waited once
        ttft += (users - fit) * (steps * tpot + ttft - at_start) / fit
    return Outcome(case.batch * case.output_tokens / (ttft + steps * tpot), ttft, tpot)


def _steps_to_the_first(case, replica):
    """Decode steps besides its prefill until a client sees the first token: half of those in which the scheduler looks for no one, and those of the engine."""
    return (case.recv_interval - 1) / 2 + replica.engine.first_steps


def requests_at_a_rate(case, replica) -> Outcome:
    """Requests at `case.rate` each second over all replicas, whatever is answered.

    More than can be served queue up: then the run ends when `case.requests` are served, and the mean request waits for half of them.
    """
    most = as_many_as_fit(case, replica)
    longest = case.requests * case.output_tokens / most.output_rate
    if case.rate * case.output_tokens > most.output_rate:
        coming = case.requests / case.rate
        return Outcome(most.output_rate, max(longest - coming, 0.0) / 2 + replica.prefill_seconds(1, case.prompt_tokens, case.largest_pass), most.tpot, most.input_rate)
    rate, steps = case.rate / case.replicas, max(case.output_tokens - 1, 1)
    fit = max(min(replica.capacity(case.prompt_tokens, case.output_tokens), case.max_sequences), 1.0)
    context, fresh = case.prompt_tokens + case.output_tokens / 2, case.prompt_tokens * (1 - case.cached_share)
    own, batch = replica.prefill_seconds(1, fresh, case.largest_pass), 1.0
    for _ in range(ROUNDS):
        step, added = replica.pass_seconds(max(batch, 1.0), context), replica.added_seconds(max(batch, 1.0), context, fresh, case.largest_pass)
        busy = min(rate * added, BUSIEST)
        tpot = step / (1 - busy)
        found = min(rate * steps * tpot, fit)
        if abs(found - batch) < 1e-4 * batch:
            break
        batch = (batch + found) / 2
    ttft = own + _steps_to_the_first(case, replica) * step + busy * added / 2 / (1 - busy)
    seconds = case.requests / case.rate + ttft + steps * tpot if case.requests < inf else inf
    served = case.requests / seconds if seconds < inf else case.rate
    return Outcome(served * case.output_tokens, ttft, tpot, served * case.prompt_tokens)


def within_limits(case, replica) -> Outcome:
    """The largest load whose time per output token keeps a limit: most of what `as_many_as_fit` reaches."""
    fit = max(min(replica.capacity(case.prompt_tokens, case.output_tokens), case.max_sequences), 1.0)
    context = case.prompt_tokens + case.output_tokens / 2

    def tpot(batch):
        return replica.pass_seconds(batch, context) + batch * replica.added_seconds(batch, context, case.prompt_tokens) / case.output_tokens

    low, high = 1.0, fit
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if tpot(middle) <= case.tpot_limit else (low, middle)
    rate = case.replicas * low / (tpot(low) * case.output_tokens)
    return Outcome(rate * case.output_tokens, tpot=tpot(low), input_rate=rate * case.prompt_tokens)


def one_phase(case, replica) -> Outcome:
    """GPUs that only prefill, in passes of `case.batch` tokens for each GPU, or only decode `case.batch` sequences for each GPU."""
    gpus, parts = replica.placement.n_gpus, case.micro_batches
    if case.phase == "prefill":
        prompts = max(case.batch / case.prompt_tokens, 1 / gpus) * gpus
        each = replica.prefill_seconds(prompts / parts, case.prompt_tokens, case.batch * gpus / parts)
        seconds = _side_by_side(each, replica.talking_seconds(prompts * case.prompt_tokens / parts), parts)
        return Outcome(ttft=seconds, input_rate=case.replicas * prompts * case.prompt_tokens / seconds)
    each = replica.pass_seconds(case.batch * gpus / parts, case.prompt_tokens + case.output_tokens / 2)
    step = _side_by_side(each, replica.talking_seconds(case.batch * gpus / parts), parts)
    return Outcome(case.replicas * case.batch * gpus / step, tpot=step)


def _side_by_side(seconds, talking, parts):
    """Seconds of all parts of a batch: one talks while another computes. A batch in one part does one after the other."""
    return seconds if parts == 1 else parts * max(seconds - talking, talking)


REGIMES = {"static-batch": batch_together, "static-burst": batch_together, "static-prefill": first_token, "offline-max": as_many_as_fit,
           "mlperf-offline": as_many_as_fit, "mlperf-server": within_limits, "mlperf-interactive": within_limits, "online-conc": users_who_wait,
           "online-rate": requests_at_a_rate, "online-qps": requests_at_a_rate, "online-trace": users_who_wait, "disagg-phase": one_phase}
"""What each `kind` of the schema is."""
