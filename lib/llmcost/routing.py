"""Tokens and their experts as arrays: popularity, choices, copies of popular experts, and the work of the fullest GPU.

`popularity` [experts] is the probability that one token chooses each expert of a layer; it adds up to the experts per token.
The formulas of `llmcost.moe` are its closed forms for even choices and for two kinds of experts.
"""

from dataclasses import dataclass

import numpy


class RoutingError(ValueError):
    """A routing that cannot be: the message says what was given and what is needed."""


def popularity(weights, n_active: int) -> numpy.ndarray:
    """Probability [experts] that one token chooses each expert, in proportion to `weights` [experts].

    A token chooses an expert once at most: what a popular one cannot take goes to the others, in proportion.
    `weights` may be counts of a measured layer.

    Raises `RoutingError` for weights that are not finite and positive somewhere, or for fewer such experts than a token chooses.

    >>> popularity([6, 1, 1], n_active=2).tolist()
    [1.0, 0.5, 0.5]
    """
    weights = numpy.asarray(weights, dtype=float)
    if weights.ndim != 1 or not numpy.isfinite(weights).all() or (weights < 0).any():
        raise RoutingError(f"weights of shape {weights.shape}; they must be one finite number for each expert, none below 0")
    if not 1 <= n_active <= (weights > 0).sum() or n_active != int(n_active):
        raise RoutingError(f"{n_active} experts for each token, of {(weights > 0).sum()} that are ever chosen; it needs 1 to that many")
    found, full = numpy.zeros_like(weights), numpy.zeros(len(weights), dtype=bool)
    while True:
        found[full] = 1.0
        found[~full] = weights[~full] / max(weights[~full].sum(), 1e-300) * (n_active - full.sum())
        if not (found > 1).any():
            return found
        full |= found >= 1


def two_kinds(n_experts: int, n_active: int, hot_share: float, hot_load: float) -> numpy.ndarray:
    """Popularity [experts] where the share `hot_share` of the experts gets the share `hot_load` of the choices.

    Raises `RoutingError` where that share is no whole number of experts, or not above 0 and below all of them.

    >>> two_kinds(n_experts=4, n_active=1, hot_share=0.5, hot_load=0.75).tolist()
    [0.375, 0.375, 0.125, 0.125]
    """
    hot = hot_share * n_experts
    if not (1 <= n_active <= n_experts and 0 <= hot_load <= 1):
        raise RoutingError(f"{n_active} of {n_experts} experts for each token and hot_load = {hot_load!r}; it takes 1 to {n_experts} experts, and a "
                           f"share from 0 to 1")
    if abs(hot - round(hot)) > 1e-9 or not 0 < round(hot) < n_experts:
        raise RoutingError(f"{hot_share:g} of {n_experts} experts are {hot:g}; it must be a whole number, 1 to {n_experts - 1}")
    hot = round(hot)
    most = min(max(hot_load, hot_share) * n_active / hot, 1.0)
    return numpy.array([most] * hot + [(n_active - hot * most) / (n_experts - hot)] * (n_experts - hot))


def touched(popularity, tokens) -> numpy.ndarray:
    """Expected number of experts that at least one of `tokens` chooses; `tokens` may be an array.

    Exact for any popularity, however the experts of one token hang together: expectations add up.

    >>> touched([0.5, 0.5], tokens=[1, 2]).tolist()
    [1.0, 1.5]
    """
    left_out = (1 - numpy.asarray(popularity)) ** numpy.asarray(tokens, dtype=float)[..., None]
    return (1 - left_out).sum(axis=-1)


def choose(popularity, tokens: int, rng) -> numpy.ndarray:
    """Experts [tokens, experts per token] that tokens choose, each with its probability, none twice for one token.

    The probabilities are laid end to end, and one random comb with teeth 1 apart picks from them: each expert is met with its own
    probability. Source: Madow 1949 (systematic sampling). Experts stand in a new order for each token.

    Raises `RoutingError` for what is no popularity: probabilities that add up to a whole number.
    """
    popularity = numpy.asarray(popularity, dtype=float)
    n_active = int(numpy.rint(popularity.sum())) if numpy.isfinite(popularity).all() else 0
    if n_active < 1 or abs(popularity.sum() - n_active) > 1e-6 or (popularity < 0).any() or (popularity > 1 + 1e-9).any():
        raise RoutingError("choose takes probabilities from 0 to 1 that add up to the experts per token; popularity(weights, n_active) makes them")
    found = numpy.empty((tokens, n_active), dtype=int)
    for token in range(tokens):
        order = rng.permutation(len(popularity))
        teeth = rng.uniform() + numpy.arange(n_active)
        found[token] = order[numpy.searchsorted(numpy.cumsum(popularity[order]), teeth).clip(max=len(order) - 1)]
    return found


@dataclass(frozen=True)
class Placement:
    """Where the experts of a layer stand: the expert of each slot [slots], and its GPU [slots]; copies are further slots."""

    expert: numpy.ndarray
    gpu: numpy.ndarray

    @property
    def n_gpus(self) -> int:
        """GPUs over which the experts are spread."""
        return int(self.gpu.max()) + 1

    def gpu_loads(self, loads) -> numpy.ndarray:
        """Tokens [GPUs] of each GPU when each expert gets `loads` [experts] tokens and its copies share them."""
        copies = numpy.bincount(self.expert, minlength=len(loads))
        return numpy.bincount(self.gpu, weights=(numpy.asarray(loads, dtype=float) / copies)[self.expert], minlength=self.n_gpus)

    def imbalance(self, loads) -> float:
        """Tokens of the fullest GPU over the mean; 1 is balance."""
        found = self.gpu_loads(loads)
        return float(found.max() / found.mean())


def place(loads, n_gpus: int, redundant: int = 0) -> Placement:
    """Experts on `n_gpus` GPUs with as many slots each: copies for the most loaded, then the fullest slots to the emptiest GPUs.

    `loads` [experts] are expected tokens. Both steps are greedy, as in serving systems; two copies may meet on one GPU, where they
    share nothing. Source: DeepSeek 2025 (EPLB).

    Raises `RoutingError` where experts and copies do not fill the GPUs evenly.

    >>> place([9, 1, 1, 1], n_gpus=2).gpu_loads([9, 1, 1, 1]).tolist()
    [10.0, 2.0]
    >>> place([9, 1, 1, 1], n_gpus=2, redundant=2).gpu_loads([9, 1, 1, 1]).tolist()
    [7.0, 5.0]
    """
    loads = numpy.asarray(loads, dtype=float)
    slots = len(loads) + redundant
    if n_gpus < 1 or redundant < 0 or not (numpy.isfinite(loads).all() and (loads >= 0).all() and loads.sum() > 0):
        raise RoutingError(f"{n_gpus} GPUs, {redundant} copies and loads from {loads.min():g} to {loads.max():g}; it takes a GPU, no negative copies, and "
                           f"loads of 0 or more that are not all 0")
    if slots % n_gpus:
        raise RoutingError(f"{len(loads)} experts and {redundant} copies do not fill {n_gpus} GPUs evenly; {-len(loads) % n_gpus} copies would")
    copies = numpy.ones(len(loads), dtype=int)
    for _ in range(redundant):
        copies[(loads / copies).argmax()] += 1
    expert = numpy.repeat(numpy.arange(len(loads)), copies)
    expert = expert[numpy.argsort(-(loads / copies)[expert], kind="stable")]
    filled, used, gpu = numpy.zeros(n_gpus), numpy.zeros(n_gpus, dtype=int), numpy.empty(slots, dtype=int)
    for slot, one in enumerate(expert):
        gpu[slot] = numpy.where(used < slots // n_gpus, filled, numpy.inf).argmin()
        filled[gpu[slot]] += loads[one] / copies[one]
        used[gpu[slot]] += 1
    return Placement(expert, gpu)
