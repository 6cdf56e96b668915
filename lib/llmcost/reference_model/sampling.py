"""From logits to the next token, and from a prompt to a reply."""

from collections.abc import Callable

import numpy

from .decoder import Decoder, Paths, ReferenceError
from .parts import softmax


def greedy(logits):
    """The token of the highest logit, for each sequence [sequences]."""
    return numpy.asarray(logits).argmax(axis=-1)


def probabilities(logits, temperature: float = 1.0, top_p: float = 1.0):
    """Probabilities [sequences, vocabulary] of the next token.

    Logits are divided by `temperature` first: below 1 the distribution gets sharper, above 1 flatter. Then only the
    likeliest tokens stay whose probabilities reach `top_p` together, the one that reaches it included; they are scaled up
    to 1. Source: Holtzman 2020 (nucleus sampling).

    Raises `ReferenceError` for a temperature that is not positive or a `top_p` outside (0, 1].

    >>> probabilities(numpy.log([[0.5, 0.3, 0.2]]), top_p=0.6).round(3).tolist()
    [[0.625, 0.375, 0.0]]
    """
    if not temperature > 0 or not numpy.isfinite(temperature):
        raise ReferenceError(f"temperature = {temperature}; it must be above 0; for the likeliest token use greedy")
    if not 0 < top_p <= 1:
        raise ReferenceError(f"top_p = {top_p}; it must be above 0 and at most 1, which keeps every token")
    found = softmax(numpy.asarray(logits, dtype=float) / temperature)
    order = numpy.argsort(-found, axis=-1, kind="stable")
    ranked = numpy.take_along_axis(found, order, axis=-1)
    before = numpy.cumsum(ranked, axis=-1) - ranked  # what is likelier, together
    kept = numpy.zeros_like(found)
    numpy.put_along_axis(kept, order, numpy.where(before < top_p, ranked, 0), axis=-1)
    return kept / kept.sum(axis=-1, keepdims=True)


def sample(logits, rng, temperature: float = 1.0, top_p: float = 1.0):
    """One token for each sequence [sequences], drawn from `probabilities`."""
    chances = probabilities(logits, temperature, top_p)
    return numpy.array([rng.choice(len(row), p=row) for row in chances])


def generate(decoder: Decoder, prompt, n_tokens: int, choose: Callable = greedy, paths: Paths = Paths()):
    """The reply to `prompt` [sequences, tokens]: `n_tokens` tokens [sequences, n_tokens], one prefill, then decode steps.

    `choose` turns logits [sequences, vocabulary] into tokens [sequences]. The last token is not passed through the
    model: nothing follows from it.

    Raises `ReferenceError` as `Decoder.forward` does, and when `n_tokens` is below 1.
    """
    if n_tokens < 1:
        raise ReferenceError(f"n_tokens = {n_tokens}; a reply has at least 1")
    prompt = numpy.atleast_2d(numpy.asarray(prompt))
    cache = decoder.empty_cache(len(prompt))
    reply = [choose(decoder.forward(prompt, cache, paths))]
    while len(reply) < n_tokens:
        reply.append(choose(decoder.forward(reply[-1][:, None], cache, paths)))
    return numpy.stack(reply, axis=1)
