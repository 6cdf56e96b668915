"""A load on one replica: batch, waiting and utilization as results of the requests that come.

One engine step costs a part that all sequences share, `shared_step_seconds`, and a part for each of them,
`sequence_step_seconds`. Requests of `output_tokens` come at random at `arrival_rate` (Poisson). While B requests are in the
engine, each of them ends after `resident_seconds`, and as one ends another may come: a birth-death chain whose service rate
rises with the batch. For a step of those two parts and no limit to the batch the chain has a closed form: the number in the
engine has a negative binomial distribution, and its mean holds for replies of any distribution of lengths, since every
sequence in the batch moves at the same speed (processor sharing).

Where the step is of another form, or the batch has a limit, `llmcost.queueing` sums the same chain.
Sources: Little 1961; Kleinrock 1975; Cohen 1979 (generalized processor sharing); Erlang 1917.
"""

from math import inf

from .elementwise import ceil, maximum, positive_part, real, sqrt, where_above
from .units import Count, Fraction, RequestsPerSecond, Seconds, Sequences, Tokens, TokensPerSecond


# --- one request, and one batch ------------------------------------------------------------------------

def requests_in_flight(arrival_rate: RequestsPerSecond, stay_seconds: Seconds) -> Sequences:
    """Little's law: requests in the engine, on average, are those that come in the time that one of them stays.

    >>> requests_in_flight(arrival_rate=4, stay_seconds=7.5)
    30.0
    """
    return arrival_rate * stay_seconds


def resident_seconds(batch: Sequences, output_tokens: Tokens, step_seconds: Seconds, prompt_seconds: Seconds) -> Seconds:
    """Time of a request in a batch that stays `batch` large: its steps, and the prompts of all who take a place meanwhile.

    Its own prompt is one of them. `step_seconds` is the time of a step of this batch.

    >>> resident_seconds(batch=10, output_tokens=101, step_seconds=0.02, prompt_seconds=0.1)
    3.0
    """
    return (real(output_tokens) - 1) * step_seconds + real(batch) * prompt_seconds


def service_rate(batch: Sequences, resident_seconds: Seconds) -> RequestsPerSecond:
    """Requests that end each second while the batch is `batch` large.

    >>> service_rate(batch=10, resident_seconds=2.5)
    4.0
    """
    return real(batch) / resident_seconds


def request_work_seconds(output_tokens: Tokens, sequence_step_seconds: Seconds, prompt_seconds: Seconds) -> Seconds:
    """Engine time that one request takes however many share the rest: its prompt, and its own part of each step.

    >>> request_work_seconds(output_tokens=101, sequence_step_seconds=0.001, prompt_seconds=0.25)
    0.35
    """
    return (real(output_tokens) - 1) * sequence_step_seconds + prompt_seconds


def lone_request_seconds(output_tokens: Tokens, shared_step_seconds: Seconds, request_work_seconds: Seconds) -> Seconds:
    """Time of a request that has the engine for itself.

    >>> lone_request_seconds(output_tokens=101, shared_step_seconds=0.02, request_work_seconds=0.5)
    2.5
    """
    return (real(output_tokens) - 1) * shared_step_seconds + request_work_seconds


def saturation_rate(request_work_seconds: Seconds) -> RequestsPerSecond:
    """Requests each second that no batch can exceed: the shared part is spread over ever more of them.

    >>> saturation_rate(request_work_seconds=0.25)
    4.0
    """
    return 1 / request_work_seconds


# --- under a load, any batch --------------------------------------------------------------------------------

def load_share(arrival_rate: RequestsPerSecond, request_work_seconds: Seconds) -> Fraction:
    """The load as a share of the saturation rate.

    >>> load_share(arrival_rate=3, request_work_seconds=0.25)
    0.75
    """
    return arrival_rate * request_work_seconds


def loaded_request_seconds(lone_request_seconds: Seconds, load_share: Fraction) -> Seconds:
    """Mean time of a request under a load: alone, over what the load leaves; infinite from saturation on.

    >>> loaded_request_seconds(lone_request_seconds=2.5, load_share=0.75)
    10.0
    """
    spare = positive_part(1 - load_share)
    return where_above(spare, 0, lone_request_seconds / where_above(spare, 0, spare, 1), inf * lone_request_seconds)


def loaded_batch(arrival_rate: RequestsPerSecond, loaded_request_seconds: Seconds) -> Sequences:
    """Mean number of requests in the engine: an output of the load, by Little's law.

    >>> loaded_batch(arrival_rate=3, loaded_request_seconds=10)
    30
    """
    return requests_in_flight(arrival_rate, loaded_request_seconds)


def batch_spread(loaded_batch: Sequences, load_share: Fraction) -> Sequences:
    """Standard deviation of the number in the engine: of a negative binomial, its mean over what the load leaves, rooted.

    Infinite from saturation on.

    >>> batch_spread(loaded_batch=25, load_share=0.75)
    10.0
    """
    spare = positive_part(1 - load_share)
    return where_above(spare, 0, sqrt(loaded_batch / where_above(spare, 0, spare, 1)), inf * loaded_batch)


def loaded_tpot(loaded_request_seconds: Seconds, prompt_seconds: Seconds, output_tokens: Tokens) -> Seconds:
    """Mean time per output token under a load, other requests' prompts included; 0 for replies of one token, which have none.

    >>> loaded_tpot(loaded_request_seconds=5, prompt_seconds=0.5, output_tokens=101)
    0.045
    """
    steps = real(output_tokens) - 1
    return (loaded_request_seconds - prompt_seconds) / where_above(steps, 0, steps, inf)


def mean_tpot(stay_seconds: Seconds, prompt_seconds: Seconds, output_tokens: Tokens) -> Seconds:
    """Mean time per output token of requests that stay so long once they are in the batch, their own prompt included.

    >>> mean_tpot(stay_seconds=5, prompt_seconds=0.5, output_tokens=101)
    0.045
    """
    return loaded_tpot(stay_seconds, prompt_seconds, output_tokens)


def prompt_queue_seconds(arrival_rate: RequestsPerSecond, prompt_seconds: Seconds) -> Seconds:
    """Mean wait of a prompt for the prompts before it, which go one at a time and before any decode step (M/D/1).

    Infinite where prompts alone fill the engine. Source: Pollaczek 1930, Khinchin 1932.

    >>> prompt_queue_seconds(arrival_rate=2, prompt_seconds=0.25)
    0.125
    """
    spare = positive_part(1 - arrival_rate * prompt_seconds)
    wait = arrival_rate * prompt_seconds * prompt_seconds / 2 / where_above(spare, 0, spare, 1)
    return where_above(spare, 0, wait, inf * prompt_seconds)


def loaded_ttft(prompt_queue_seconds: Seconds, step_seconds: Seconds, prompt_seconds: Seconds) -> Seconds:
    """Mean time to first token while the batch has room: half of the step under way, prompts before it, its own.

    >>> loaded_ttft(prompt_queue_seconds=0.05, step_seconds=0.02, prompt_seconds=0.25)
    0.31
    """
    return step_seconds / 2 + prompt_queue_seconds + prompt_seconds


# --- what a limit allows --------------------------------------------------------------------------------------

def rate_for_tpot(tpot_limit: Seconds, output_tokens: Tokens, lone_request_seconds: Seconds, request_work_seconds: Seconds,
                  prompt_seconds: Seconds) -> RequestsPerSecond:
    """Largest rate at which the mean time per output token keeps a limit; 0 where a request alone does not.

    It is `loaded_tpot` = `tpot_limit`, solved for the rate.

    >>> round(rate_for_tpot(0.05, 101, lone_request_seconds=2.5, request_work_seconds=0.25, prompt_seconds=0), 9)
    2.0
    """
    allowed = tpot_limit * (real(output_tokens) - 1) + prompt_seconds
    return positive_part(1 - lone_request_seconds / allowed) / request_work_seconds


def batch_for_tpot(tpot_limit: Seconds, shared_step_seconds: Seconds, sequence_step_seconds: Seconds, prompt_seconds: Seconds,
                   output_tokens: Tokens) -> Sequences:
    """Largest batch whose steps, with the prompts between them, keep a limit; 0 where none does, infinite for one token.

    >>> round(batch_for_tpot(0.05, shared_step_seconds=0.02, sequence_step_seconds=0.001, prompt_seconds=0.05, output_tokens=101))
    20
    """
    steps = real(output_tokens) - 1
    each = sequence_step_seconds + prompt_seconds / where_above(steps, 0, steps, 1)
    return where_above(steps, 0, positive_part(tpot_limit - shared_step_seconds) / each, inf)


def rate_for_batch(batch_for_tpot: Sequences, deviations: Count, lone_request_seconds: Seconds,
                   request_work_seconds: Seconds) -> RequestsPerSecond:
    """Largest rate at which the batch stays within a limit up to so many standard deviations above its mean.

    With r = `lone_request_seconds` / `request_work_seconds` and load share x, mean and spread of the batch are
    r x / (1 - x) and sqrt(r x) / (1 - x); mean + `deviations` spreads = limit is a quadratic equation for sqrt(x).

    >>> round(rate_for_batch(30, deviations=0, lone_request_seconds=2.5, request_work_seconds=0.25), 9)
    3.0
    """
    r = lone_request_seconds / request_work_seconds
    some = where_above(batch_for_tpot, 0, batch_for_tpot, 1)
    root = 2 / (sqrt(deviations ** 2 * r / some ** 2 + 4 * (1 + r / some)) + deviations * sqrt(r) / some)
    return where_above(batch_for_tpot, 0, root ** 2 / request_work_seconds, 0 / request_work_seconds)


def replicas_for_rate(total_rate: RequestsPerSecond, arrival_rate: RequestsPerSecond) -> Count:
    """Replicas that share `total_rate` when each may get `arrival_rate`; infinite where that is nothing.

    >>> replicas_for_rate(total_rate=10, arrival_rate=3)
    4
    """
    allowed = positive_part(arrival_rate)
    needed = ceil(real(total_rate) / where_above(allowed, 0, allowed, 1))
    return where_above(allowed, 0, needed, inf)


def slo_use(ttft: Seconds, ttft_limit: Seconds, tpot: Seconds, tpot_limit: Seconds) -> Fraction:
    """How much of the tighter of two limits is used; up to 1 both are kept.

    >>> slo_use(ttft=0.5, ttft_limit=2, tpot=0.03, tpot_limit=0.04)
    0.75
    """
    return maximum(ttft / ttft_limit, tpot / tpot_limit)


def reply_tokens_per_second(arrival_rate: RequestsPerSecond, output_tokens: Tokens) -> TokensPerSecond:
    """Output tokens each second of a load that is served.

    >>> reply_tokens_per_second(arrival_rate=4, output_tokens=250)
    1000
    """
    return arrival_rate * real(output_tokens)


# --- people, not requests -------------------------------------------------------------------------------------

def users_rate(users: Count, stay_seconds: Seconds, think_seconds: Seconds) -> RequestsPerSecond:
    """Requests each second of people who read and think between the end of a reply and their next request.

    >>> users_rate(users=1000, stay_seconds=10, think_seconds=90)
    10.0
    """
    return users / (stay_seconds + think_seconds)


def busy_rate(daily_requests: Count, period_seconds: Seconds, peak_factor: Count) -> RequestsPerSecond:
    """Requests each second of the busiest part of a period, `peak_factor` times its mean.

    >>> busy_rate(daily_requests=864_000, period_seconds=86_400, peak_factor=2.5)
    25.0
    """
    return real(daily_requests) / period_seconds * peak_factor


def fleet_gpus(total_rate: RequestsPerSecond, resident_seconds: Seconds, batch: Sequences, n_gpus: Count) -> Count:
    """GPUs of the replicas, each of `n_gpus`, that hold `batch` requests for `resident_seconds` at `total_rate`.

    Nobody waits only if requests come evenly: it is Little's law, with no room for chance.

    >>> fleet_gpus(total_rate=25, resident_seconds=8, batch=32, n_gpus=4)
    28
    """
    return ceil(total_rate * resident_seconds / real(batch)) * n_gpus
