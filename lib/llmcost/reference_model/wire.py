"""The wire between ranks: collectives run step by step, and every byte that leaves a rank is counted.

Ranks are numbered from 0. A collective takes one array from each rank and gives one back to each.
"""

from collections import Counter

import numpy

from .checks import ReferenceError, check_count

ALGORITHMS = ("ring", "one-shot")


class Wire:
    """Joins `n_ranks` ranks. `algorithm` of an all-reduce: "ring", or "one-shot", where each rank sends all it has to all.

    Raises `ReferenceError` for another algorithm, or no ranks.

    Attributes
    ----------
    sent : bytes that each rank has sent
    calls : collectives by name
    steps : rounds of messages, each round at the same time on all ranks
    """

    def __init__(self, n_ranks: int, algorithm: str = "ring"):
        check_count("n_ranks", n_ranks)
        if algorithm not in ALGORITHMS:
            raise ReferenceError(f"no all-reduce {algorithm!r}; there are {', '.join(ALGORITHMS)}")
        self.n_ranks, self.algorithm = n_ranks, algorithm
        self.sent, self.calls, self.steps = [0] * n_ranks, Counter(), 0

    def _pass(self, messages):
        """One round: `messages` maps (from, to) to an array. What arrives is a copy."""
        self.steps += bool(messages)
        for (source, _), array in messages.items():
            self.sent[source] += array.nbytes
        return {way: numpy.array(array) for way, array in messages.items()}

    def all_reduce(self, parts: list) -> list:
        """The sum of `parts`, arrays of one shape, on every rank."""
        self.calls["all-reduce"] += 1
        ranks = range(self.n_ranks)
        if self.algorithm == "one-shot":
            arrived = self._pass({(i, j): parts[i] for i in ranks for j in ranks if i != j})
            return [sum((arrived[i, j] if i != j else parts[j] for i in ranks), start=numpy.zeros_like(parts[0])) for j in ranks]
        return [numpy.concatenate(pieces).reshape(parts[0].shape) for pieces in self._gather(self._scatter(parts))]

    def _scatter(self, parts):
        """Reduce-scatter around the ring: rank i ends with the whole sum of piece i, in place of the others it keeps nothing."""
        pieces = [numpy.array_split(numpy.array(part).reshape(-1), self.n_ranks) for part in parts]
        for step in range(self.n_ranks - 1):
            held = {i: (i - step - 1) % self.n_ranks for i in range(self.n_ranks)}  # the piece that rank i sends on
            arrived = self._pass({(i, (i + 1) % self.n_ranks): pieces[i][held[i]] for i in held} if self.n_ranks > 1 else {})
            for (i, j), piece in arrived.items():
                pieces[j][held[i]] = pieces[j][held[i]] + piece
        return [pieces[i][i] for i in range(self.n_ranks)]

    def _gather(self, pieces):
        """All-gather around the ring: every rank ends with all pieces, in order."""
        found = [{i: piece} for i, piece in enumerate(pieces)]
        for step in range(self.n_ranks - 1):
            arrived = self._pass({(i, (i + 1) % self.n_ranks): found[i][(i - step) % self.n_ranks] for i in range(self.n_ranks)})
            for (i, j), piece in arrived.items():
                found[j][(i - step) % self.n_ranks] = piece
        return [[held[i] for i in range(self.n_ranks)] for held in found]

    def reduce_scatter(self, parts: list) -> list:
        """Piece i of the sum of `parts` on rank i, flat."""
        self.calls["reduce-scatter"] += 1
        return self._scatter(parts)

    def all_gather(self, parts: list, axis: int = -1) -> list:
        """All `parts` next to each other along `axis`, on every rank."""
        self.calls["all-gather"] += 1
        return [numpy.concatenate(pieces, axis=axis) for pieces in self._gather(parts)]

    def all_to_all(self, parcels: list) -> list:
        """`parcels[i][j]` from rank i arrives as `[i]` of what rank j gets. What a rank has for itself passes no wire."""
        self.calls["all-to-all"] += 1
        ranks = range(self.n_ranks)
        arrived = self._pass({(i, j): parcels[i][j] for i in ranks for j in ranks if i != j})
        return [[arrived[i, j] if i != j else parcels[j][j] for i in ranks] for j in ranks]

    def send(self, array, source: int, target: int):
        """One array from one rank to another."""
        self.calls["send"] += 1
        return self._pass({(source, target): array})[source, target]
