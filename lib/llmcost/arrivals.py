"""Requests that come at random: when, how long, and who comes back. The same seed gives the same requests."""

from collections.abc import Callable, Sequence

import numpy

from .workload import Request, TraceError, check_counts

Lengths = Callable[[numpy.random.Generator, int], numpy.ndarray]
"""Draws so many whole numbers of tokens."""


def poisson(rate: float, count: int, seed: int = 0) -> numpy.ndarray:
    """Times of `count` arrivals that come independently, `rate` each second on average."""
    return bursty(rate, count, 1.0, seed)


def bursty(rate: float, count: int, variation: float, seed: int = 0) -> numpy.ndarray:
    """Times of arrivals whose gaps vary `variation` times as much as their mean: 0 is a clock, 1 is Poisson, more are bursts.

    The gaps have a gamma distribution, as in the load generator of vLLM.

    Raises `TraceError` for a rate, a count or a variation that make no sense.
    """
    _positive(rate=rate)
    check_counts(count=count)
    if not 0 <= variation < numpy.inf:
        raise TraceError(f"variation = {variation!r}; it is 0 for a clock, 1 for Poisson, more for bursts")
    if variation == 0:
        return numpy.arange(1, count + 1) / rate
    shape = variation ** -2.0
    return numpy.cumsum(numpy.random.default_rng([seed, 1]).gamma(shape, 1 / (rate * shape), count))


def fixed(tokens: int) -> Lengths:
    """Every length the same."""
    check_counts(tokens=tokens)
    return lambda rng, count: numpy.full(count, tokens)


def geometric(mean: float) -> Lengths:
    """Lengths with the same chance to end at every token: the discrete exponential."""
    if not 1 <= mean < numpy.inf:
        raise TraceError(f"mean = {mean!r}; a length is at least 1 token, and so is the mean")
    return lambda rng, count: rng.geometric(1 / mean, count)


def lognormal(mean: float, variation: float) -> Lengths:
    """Lengths of a lognormal distribution whose standard deviation is `variation` times its mean; at least 1 token."""
    _positive(mean=mean)
    if not 0 <= variation < numpy.inf:
        raise TraceError(f"variation = {variation!r}; it is 0 for equal lengths, 1 and more for a long tail")
    sigma = numpy.sqrt(numpy.log1p(variation ** 2))
    return lambda rng, count: numpy.maximum(numpy.rint(mean * rng.lognormal(-sigma**2 / 2, sigma, count)), 1).astype(int)


def drawn_from(lengths: Sequence[int]) -> Lengths:
    """Lengths drawn from those that were seen."""
    if not len(lengths):
        raise TraceError("no lengths to draw from; give at least one")
    return lambda rng, count: rng.choice(numpy.asarray(lengths), count)


def requests(times: Sequence[float], prompts: Lengths, outputs: Lengths, seed: int = 0) -> list[Request]:
    """One request for each of `times`, in seconds, with lengths drawn for each."""
    prompt_tokens = prompts(numpy.random.default_rng([seed, 2]), len(times))
    output_tokens = outputs(numpy.random.default_rng([seed, 3]), len(times))
    return [Request(float(time), int(prompt), int(output)) for time, prompt, output in zip(times, prompt_tokens, output_tokens)]


def closed_loop(users: int, each: int, prompts: Lengths, outputs: Lengths, think_seconds: float = 0.0, seed: int = 0) -> list[Request]:
    """`users` who each send `each` requests, the next one `think_seconds` after the end of the last."""
    check_counts(users=users, each=each)
    drawn = requests(numpy.zeros(users * each), prompts, outputs, seed)
    return [request if i < users else Request(think_seconds, request.prompt_tokens, request.output_tokens, after=i - users)
            for i, request in enumerate(drawn)]


def conversations(times: Sequence[float], turns: int, first_tokens: int, question_tokens: int, reply_tokens: int,
                  think_seconds: Lengths | float, template_tokens: int = 0, seed: int = 0) -> list[Request]:
    """A conversation of `turns` for each of `times`: every turn sends all that was said before, and a question.

    The next turn comes `think_seconds` after the reply, a number or a distribution. All that was said before can be found in a
    prefix cache, under the number of the conversation.
    """
    check_counts(turns=turns, first_tokens=first_tokens, question_tokens=question_tokens, reply_tokens=reply_tokens)
    rng = numpy.random.default_rng([seed, 4])
    found = []
    for number, time in enumerate(times):
        said = 0
        for turn in range(turns):
            prompt = said + (first_tokens + template_tokens if turn == 0 else question_tokens)
            wait = float(time) if turn == 0 else float(think_seconds(rng, 1)[0] if callable(think_seconds) else think_seconds)
            found.append(Request(wait, prompt, reply_tokens, prefix=str(number), prefix_tokens=said,
                                 after=len(found) - 1 if turn else None))
            said = prompt + reply_tokens - 1  # the last token of a reply has no keys and values yet
    return found


def _positive(**given):
    for name, value in given.items():
        if not 0 < value < numpy.inf:
            raise TraceError(f"{name} = {value!r}; it must be above 0")
