"""The only reader of `data/`: models, accelerators and assumptions as frozen records with sources.

    >>> from llmcost.catalog import MODELS
    >>> MODELS["llama_3_1_70b"].n_params
    70553706496
"""

import csv
import datetime
import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .notation import NOTATION
from .precision import BYTES_PER_ELEMENT
from .records import KINDS, Accelerator, FactError, Model, Source, UnknownName

DATA = Path(os.environ.get("LLMCOST_DATA") or Path(__file__).parents[2] / "data")

class Named(Mapping):
    """Records by key. An unknown key raises `UnknownName` with the nearest keys."""

    def __init__(self, what: str, records: dict):
        self._what, self._records = what, records

    def __getitem__(self, key):
        if key in self._records:
            return self._records[key]
        wanted = str(key).lower()
        near = difflib.get_close_matches(wanted, self._records, n=3, cutoff=0.3)
        by_name = [k for k, r in self._records.items() if wanted in getattr(r, "name", "").lower()]
        nearest = list(dict.fromkeys(by_name + near))[:3]
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        raise UnknownName(f"no {self._what} {key!r}{hint}; there are {', '.join(self._records)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self):
        return len(self._records)


# --- reading ---------------------------------------------------------------------------------

_PROVENANCE = ("kind", "source", "where", "date")


def _read_toml(name: str) -> dict:
    path = DATA / name
    if not path.exists():
        raise FactError(f"{path} does not exist; the catalog reads the folder data/ of the book's checkout, "
                        f"or the folder that the variable LLMCOST_DATA names")
    with path.open("rb") as file:
        try:
            return tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise FactError(f"data/{name}: {error}") from None


def _source(place: str, table: Mapping, default: Source | None = None) -> Source:
    """The source that `table` states, each part falling back on `default`. Raises `FactError` if any is missing."""
    parts = {part: table.get(part, getattr(default, part, None)) for part in _PROVENANCE}
    if missing := [part for part, value in parts.items() if not value]:
        raise FactError(f"{place} has no {', '.join(missing)}: every fact states its kind ({', '.join(KINDS)}), "
                        f"source (a key in data/references.bib), where (the place in the source) and date")
    if parts["kind"] not in KINDS:
        raise FactError(f"{place} has kind {parts['kind']!r}; a kind is one of {', '.join(KINDS)}")
    if type(parts["date"]) is not datetime.date or parts["date"] > datetime.date.today():
        raise FactError(f"{place} has date {parts['date']!r}; a date is a past day, written 2026-11-21, without quotes")
    if parts["source"] not in _reference_keys():
        raise FactError(f"{place} has source {parts['source']!r}, which data/references.bib does not have")
    return Source(**parts)


@cache
def _reference_keys() -> frozenset[str]:
    text = (DATA / "references.bib").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^@\w+\{([^,\s]+)", text, flags=re.MULTILINE))


def read_record(file: str, key: str, table: Mapping) -> tuple[str, dict, dict]:
    """Name, values and sources of one record; a leaf that is a table with `value` states its own source.

    Raises `FactError` for a fact without a source.
    """
    place = f"data/{file}, [{key}]"
    if "name" not in table:
        raise FactError(f"{place} has no name")
    default = _source(place, table)
    values, sources = {}, {}
    for fact, value in table.items():
        if fact in _PROVENANCE or fact == "name":
            continue
        if isinstance(value, Mapping) and "value" in value:
            values[fact], sources[fact] = value["value"], _source(f"{place} {fact}", value, default)
        else:
            values[fact], sources[fact] = value, default
    return table["name"], values, sources


# --- models ----------------------------------------------------------------------------------

def model_from(file: str, key: str, table: Mapping) -> Model:
    """A model record from its table. Raises `FactError` for shapes that are missing, impossible or contradictory."""
    name, values, sources = read_record(file, key, table)
    return Model.from_shapes(f"data/{file}, [{key}]", key, name, values, sources)


# --- accelerators and assumptions --------------------------------------------------------------

_ACCELERATOR_FACTS = ("memory_bytes", "memory_bandwidth", "link_bandwidth_per_direction", "power_w")


def accelerator_from(file: str, key: str, table: Mapping) -> Accelerator:
    """An accelerator record from its table. Raises `FactError` for a number that is missing or not positive."""
    name, values, sources = read_record(file, key, table)
    numbers = [fact for fact in values if fact.startswith("peak_")] or ["peak_flops_bf16"]
    for fact in (*_ACCELERATOR_FACTS, *numbers):
        if not _is_number(values.get(fact)) or values[fact] <= 0:
            raise FactError(f"data/{file}, [{key}] has {fact} = {values.get(fact)!r}; it must be a positive number")
    return Accelerator(key, name, values, sources)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Assumption:
    """A value nobody publishes for your case: what we take, between what bounds, and why."""

    key: str
    value: float
    low: float
    high: float
    why: str
    source: Source


def assumption_from(file: str, key: str, table: Mapping) -> Assumption:
    """An assumption from its table. Raises `FactError` unless it has value, low, high, why and a source."""
    place = f"data/{file}, [{key}]"
    if missing := [part for part in ("value", "low", "high", "why") if part not in table]:
        raise FactError(f"{place} has no {', '.join(missing)}; an assumption states value, low, high and why")
    if not all(_is_number(table[part]) for part in ("value", "low", "high")):
        raise FactError(f"{place} must have numbers for value, low and high")
    if not table["low"] <= table["value"] <= table["high"]:
        raise FactError(f"{place} has value {table['value']} outside its own range {table['low']} to {table['high']}")
    if key not in NOTATION:
        raise FactError(f"{place} is not a parameter name of the notation table")
    return Assumption(key, table["value"], table["low"], table["high"], table["why"], _source(place, table))


def read_csv(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file below `data/`, as text. Raises `FactError` for a row with missing or extra cells."""
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise FactError(f"data/{name}, line {number} does not have as many cells as the header")
    return rows


def read_claims(name: str) -> list[dict]:
    """The tables `[[claim]]` of one file below `data/claims/`."""
    return _read_toml(f"claims/{name}.toml").get("claim", [])


def claim_files() -> list[str]:
    """Names of the files below `data/claims/`, one for each source document."""
    return sorted(path.stem for path in (DATA / "claims").glob("*.toml"))


def _load(file: str, what: str, build) -> Named:
    return Named(what, {key: build(file, key, table) for key, table in _read_toml(file).items()})


MODELS = _load("models.toml", "model", model_from)
GPUS = _load("accelerators.toml", "accelerator", accelerator_from)
ASSUMPTIONS = _load("assumptions.toml", "assumption", assumption_from)
BYTES = Named("number format", BYTES_PER_ELEMENT)
