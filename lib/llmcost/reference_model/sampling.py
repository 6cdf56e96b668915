"""From logits to the next token, and from a prompt to a reply."""

from collections.abc import Callable

import numpy

from .checks import ReferenceError, check_count
from .decoder import Decoder, Paths, rows_of
from .parts import softmax


def greedy(logits):
    """The token of the highest logit, for each sequence [sequences]."""
    return numpy.asarray(logits).argmax(axis=-1)


def probabilities(logits, temperature: float = 1.0, top_p: float = 1.0):
    """Probabilities [sequences, vocabulary] of the next token.

    Logits are divided by `temperature` first: below 1 the distribution gets sharper, above 1 flatter. Then only the
    likeliest tokens stay whose probabilities reach `top_p` together, the one that reaches it included; they are scaled up
    to 1. Source: Holtzman 2020 (nucleus sampling).

    Raises `ReferenceError` for a temperature that is not positive, a `top_p` outside (0, 1], or logits among which there is
    no largest: none, one that is no number or infinite. Minus infinity is a token that cannot be.

    >>> probabilities(numpy.log([[0.5, 0.3, 0.2]]), top_p=0.6).round(3).tolist()
    [[0.625, 0.375, 0.0]]
    """
    if not temperature > 0 or not numpy.isfinite(temperature):
        raise ReferenceError(f"temperature = {temperature}; it must be above 0; for the likeliest token use greedy")
    if not 0 < top_p <= 1:
        raise ReferenceError(f"top_p = {top_p}; it must be above 0 and at most 1, which keeps every token")
    logits = numpy.asarray(logits, dtype=float)
    largest = logits.max(axis=-1, keepdims=True) if logits.size else numpy.nan
    if not numpy.isfinite(largest).all():
        raise ReferenceError(f"logits of shape {logits.shape} whose largest are {numpy.ravel(largest)}; they must be finite "
                             f"numbers")
    with numpy.errstate(over="ignore"):  # far below the largest is as good as minus infinity
        found = softmax((logits - largest) / temperature)
    order = numpy.argsort(-found, axis=-1, kind="stable")
    ranked = numpy.take_along_axis(found, order, axis=-1)
    before = numpy.cumsum(ranked, axis=-1) - ranked  # what is likelier, together
    kept = numpy.zeros_like(found)
    numpy.put_along_axis(kept, order, numpy.where(before < top_p, ranked, 0), axis=-1)
    return kept / kept.sum(axis=-1, keepdims=True)


def sample(logits, rng, temperature: float = 1.0, top_p: float = 1.0):
    """One token for each sequence [sequences], drawn from `probabilities` of `logits` [sequences, vocabulary].

    Raises `ReferenceError` as `probabilities` does, and for logits of another shape.
    """
    chances = probabilities(logits, temperature, top_p)
    if chances.ndim != 2:
        raise ReferenceError(f"logits of shape {chances.shape}; they must be [sequences, vocabulary]")
    return numpy.array([rng.choice(len(row), p=row) for row in chances])


def generate(decoder: Decoder, prompt, n_tokens: int, choose: Callable = greedy, paths: Paths = Paths()):
    """The reply to `prompt` [sequences, tokens]: `n_tokens` tokens [sequences, n_tokens], one prefill, then decode steps.

    `choose` turns logits [sequences, vocabulary] into tokens [sequences]. The last token is not passed through the
    model: nothing follows from it.

    Raises `ReferenceError` as `Decoder.forward` does, and unless `n_tokens` is a whole number, 1 or more.
    """
    check_count("n_tokens", n_tokens)
    cache = decoder.empty_cache(len(rows_of(prompt)))
    reply = [numpy.asarray(choose(decoder.forward(prompt, cache, paths)))]
    while len(reply) < n_tokens:
        reply.append(numpy.asarray(choose(decoder.forward(reply[-1][:, None], cache, paths))))
    return numpy.stack(reply, axis=1)
