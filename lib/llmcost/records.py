"""Records: named, frozen facts with their sources, checked when they are made."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .shapes import facts_from

KINDS = ("datasheet", "paper", "config", "measured", "price_list", "assumed")


class FactError(ValueError):
    """A fact in `data/` that cannot be used: the message names the file, the record and the way out."""


class UnknownName(KeyError):
    """A name that the catalog does not have: the message says what there is, with the nearest first."""

    def __str__(self):
        return self.args[0]


@dataclass(frozen=True)
class Source:
    """Where a fact comes from: kind of source, key in references.bib, place in the source, date of retrieval."""

    kind: str
    source: str
    where: str
    date: datetime.date


@dataclass(frozen=True, eq=False)
class Record:
    """A named set of facts. `facts` maps parameter names to values; each is an attribute too.

    `sources` gives the source of each fact that is not computed. Neither can be changed.
    """

    key: str
    name: str
    facts: Mapping
    sources: Mapping = field(repr=False)

    def __post_init__(self):
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __getattr__(self, name):
        facts = object.__getattribute__(self, "facts")
        if name in facts:
            return facts[name]
        raise AttributeError(f"{self.name} has no fact {name!r}; it has {', '.join(facts)}")

    def source_of(self, fact: str) -> Source | None:
        """The source of `fact`, or None when it is computed from others."""
        return self.sources.get(fact)


class Model(Record):
    """A decoder: its shapes, and what is computed from them.

    `facts` holds the shapes, the parameter counts, and the sums over layers that `attention.state_bytes`
    and its kin take (`llmcost.shapes.facts_from`), besides what its publisher says of it.
    """

    @classmethod
    def from_shapes(cls, place: str, key: str, name: str, shapes: Mapping, sources: Mapping | None = None,
                    **said) -> "Model":
        """A model from its shapes; `said` are further facts, of its publisher.

        Raises `llmcost.shapes.ShapeError`, beginning with `place`, for shapes that no model can have.
        """
        return cls(key, name, {**facts_from(place, shapes), **said}, sources or {})


class Accelerator(Record):
    """A GPU: peak dense FLOP/s by format, memory, bandwidth, link."""

    def computing_in(self, number_format: str) -> Record:
        """This accelerator with `peak_flops` set to the peak of one format, such as "bf16" or "fp8".

        Raises `UnknownName` when the datasheet gives no peak for that format.
        """
        peaks = {fact.rpartition("_")[2]: value for fact, value in self.facts.items() if fact.startswith("peak_")}
        if number_format not in peaks:
            raise UnknownName(f"{self.name} has no peak for {number_format!r}; it has {', '.join(peaks)}")
        return Record(self.key, f"{self.name} in {number_format}",
                      {**self.facts, "peak_flops": peaks[number_format]}, self.sources)
