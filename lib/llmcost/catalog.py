"""The facts of `data/`: models, accelerators and assumptions as frozen records with sources.

    >>> from llmcost.catalog import MODELS
    >>> MODELS["llama_3_1_70b"].n_params
    70553706496
"""

import datetime
import difflib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import files
from .configs import ConfigError, max_context, shapes_from_config, weight_formats
from .files import read_csv, read_toml
from .notation import NOTATION
from .precision import BYTES_PER_ELEMENT
from .records import KINDS, Accelerator, FactError, Model, Record, Source, UnknownName


class Named(Mapping):
    """Records by key, each built when it is first asked for. An unknown key raises `UnknownName` with the nearest keys."""

    def __init__(self, what: str, tables: Mapping, build: Callable = lambda key, table: table):
        self._what, self._tables, self._build, self._built = what, tables, build, {}

    def __getitem__(self, key):
        if key not in self._tables:
            raise UnknownName(self._advice(key))
        if key not in self._built:
            self._built[key] = self._build(key, self._tables[key])
        return self._built[key]

    def _advice(self, key) -> str:
        wanted = str(key).lower()
        names = {k: table.get("name", "") if isinstance(table, Mapping) else "" for k, table in self._tables.items()}
        near = difflib.get_close_matches(wanted, self._tables, n=3, cutoff=0.3)
        by_name = [k for k, name in names.items() if wanted in name.lower()]
        nearest = list(dict.fromkeys(by_name + near))[:3]
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        return f"no {self._what} {key!r}{hint}; there are {', '.join(self._tables)}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self):
        return len(self._tables)


# --- reading ---------------------------------------------------------------------------------

_PROVENANCE = ("kind", "source", "where", "date")


def source_of(place: str, table: Mapping, default: Source | None = None) -> Source:
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
    return frozenset(re.findall(r"^@\w+\{([^,\s]+)", files.read_text("references.bib"), flags=re.MULTILINE))


def read_record(file: str, key: str, table: Mapping) -> tuple[str, dict, dict]:
    """Name, values and sources of one record; a leaf that is a table with `value` states its own source.

    Raises `FactError` for a fact without a source.
    """
    place = f"data/{file}, [{key}]"
    if "name" not in table:
        raise FactError(f"{place} has no name")
    default = source_of(place, table)
    values, sources = {}, {}
    for fact, value in table.items():
        if fact in _PROVENANCE or fact == "name":
            continue
        if isinstance(value, Mapping) and "value" in value:
            values[fact], sources[fact] = value["value"], source_of(f"{place} {fact}", value, default)
        else:
            values[fact], sources[fact] = value, default
    return table["name"], values, sources


# --- models ----------------------------------------------------------------------------------

_SAID = ("also", "notes", "max_context", "published_params", "published_counts_too", "published_active_params",
         "published_active_leaves_out", "published_active_cut_off")


def model_from(file: str, key: str, table: Mapping) -> Model:
    """A model record: what `table` says of it, and the shapes of its config.json.

    Raises `FactError` for a table with unknown entries or a config that gives no model.
    """
    place = f"data/{file}, [{key}]"
    name, said, sources = read_record(file, key, table)
    if unknown := sorted(set(said) - set(_SAID)):
        raise FactError(f"{place} has {', '.join(unknown)}; a model may have {', '.join(_SAID)}, and its shapes "
                        f"stand in data/configs/{key}.json")
    try:
        return model_from_config(files.config_path(key), key, name, source_of(place, table), sources, **said)
    except ValueError as error:
        raise FactError(f"{place}: {error}") from None


def model_from_config(config, key: str = "yours", name: str = "", source: Source | None = None,
                      sources: Mapping | None = None, weight_format: str = "", expert_format: str = "", **said) -> Model:
    """A model record from a Hugging Face `config.json`, given as a mapping or as the path of a file.

    `weight_format` and `expert_format`, names as in `llmcost.precision`, stand in for a `quantization_config`
    that the book cannot read.

    Raises `llmcost.configs.ConfigError` for a file that cannot be read, an architecture that the book does
    not know, or a field that is missing, impossible or in contradiction with another.

    >>> model_from_config({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
    ...                    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100}).n_params
    82752
    """
    fields = config if isinstance(config, Mapping) else _read_config(config)
    shapes = shapes_from_config(fields)
    facts = _formats(fields, weight_format, expert_format)
    if longest := max_context(fields):
        facts["max_context"] = longest
    known = dict.fromkeys([*shapes, *facts], source) if source else {}
    return Model.from_shapes("config.json", key, name or fields.get("_name_or_path") or key, shapes,
                             {**known, **(sources or {})}, **{**facts, **said})


def _formats(fields: Mapping, weight_format: str, expert_format: str) -> dict:
    for given in filter(None, (weight_format, expert_format)):
        BYTES[given]
    if weight_format:
        return {"checkpoint_dtype": weight_format, "expert_dtype": expert_format or weight_format}
    try:
        stored, experts = weight_formats(fields)
    except ConfigError as error:
        raise ConfigError(f"{error}; or pass weight_format=, one of {', '.join(BYTES)}") from None
    return {"checkpoint_dtype": stored, "expert_dtype": experts}


def _read_config(path) -> dict:
    path = Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path.name} holds {type(config).__name__}; a config is an object with fields such as hidden_size")
    return config


# --- accelerators and assumptions --------------------------------------------------------------

_ACCELERATOR_FACTS = ("memory_bytes", "memory_marketing_bytes", "memory_bandwidth")
_WHERE_PUBLISHED = ("link_bandwidth_per_direction", "power_w")


def accelerator_from(file: str, key: str, table: Mapping) -> Accelerator:
    """An accelerator record from its table, with the facts of its kind of link.

    Raises `FactError` for a number that is missing or not positive.
    """
    name, values, sources = read_record(file, key, table)
    for link in LINKS.values():
        if values.get("link", "").startswith(link.name):
            values, sources = {**link.facts, **values}, {**link.sources, **sources}
    peaks = [fact for fact in values if fact.startswith("peak_")] or ["peak_flops_bf16"]
    for fact in (*_ACCELERATOR_FACTS, *peaks, *(fact for fact in _WHERE_PUBLISHED if fact in values)):
        if not _is_number(values.get(fact)) or values[fact] <= 0:
            raise FactError(f"data/{file}, [{key}] has {fact} = {values.get(fact)!r}; it must be a positive number")
    return Accelerator(key, name, values, sources)


def fabric_from(file: str, key: str, table: Mapping) -> Record:
    """A fabric from its table. Raises `FactError` for a number that is missing or cannot be."""
    name, values, sources = read_record(file, key, table)
    for fact in ("exchange_bandwidth", "exchange_efficiency", "exchange_hop_seconds", "bulk_exchange_efficiency", "gpus_per_node"):
        value, least = values.get(fact), 0 if fact == "exchange_hop_seconds" else 1e-9
        if not _is_number(value) or value < least or (fact.endswith("efficiency") and value > 1):
            raise FactError(f"data/{file}, [{key}] has {fact} = {value!r}; it must be a positive number, a share at most 1, a hop 0 or more")
    return Record(key, name, values, sources)


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
    return Assumption(key, table["value"], table["low"], table["high"], table["why"], source_of(place, table))


def read_trace(key: str) -> str:
    """Text of a published trace, one of `TRACES`, for a reader of its format in `llmcost.traces`."""
    return files.read_text(f"traces/{TRACES[key].key}.csv")


def _load(file: str, what: str, build: Callable) -> Named:
    return Named(what, read_toml(file), lambda key, table: build(file, key, table))


LINKS = _load("links.toml", "link", lambda file, key, table: Record(key, *read_record(file, key, table)))
MODELS = _load("models.toml", "model", model_from)
GPUS = _load("accelerators.toml", "accelerator", accelerator_from)
FABRICS = _load("fabrics.toml", "fabric", fabric_from)
ASSUMPTIONS = _load("assumptions.toml", "assumption", assumption_from)
ASSUMED = Record("assumed", "the assumptions", {key: one.value for key, one in ASSUMPTIONS.items()},
                 {key: one.source for key, one in ASSUMPTIONS.items()})
"""Every assumed value by name, to stand beside models and accelerators in `at`."""
TRACES = _load("traces.toml", "trace", lambda file, key, table: Record(key, *read_record(file, key, table)))
BYTES = Named("number format", BYTES_PER_ELEMENT)
