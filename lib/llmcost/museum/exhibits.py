"""The exhibits: each a wrong formula, the right one, where it was seen, and the cases on which they differ.

`data/museum.toml` holds what was seen; the formulas are functions, the wrong ones of `llmcost.museum.forms`.
"""

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from .. import catalog, claims, faces
from ..configs import text_part
from ..files import read_text, read_toml
from . import forms

FILE = "museum.toml"
STATES = ("open", "closed", "merged", "as stored")
OPTIONAL = ("id", "kinds", "printed", "shown", "fixed")
OF = ("wrong", "right", "factor", "shortfall", "excess")
USUAL = {"kv_bytes_per_element": 2, "weight_bytes_per_param": 2, "n_gpus": 1, "batch": 1}
"""BF16 weights and caches, one GPU, one conversation, where a case says nothing else."""


class MuseumError(ValueError):
    """An exhibit that is not complete or cannot be computed: the message names it and what is missing."""


@dataclass(frozen=True)
class Thread:
    """Where a wrong formula was seen: its address, what it is, its state on the day `seen`, and what it says."""

    url: str
    what: str
    state: str
    seen: object
    told: str

    @property
    def name(self) -> str:
        """The project and the number of the thread, as in "vllm-project/vllm #29736"; of a page its address."""
        parts = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)/(?:issues/|pull/|blob/)(\d+)?.*", self.url)
        if parts is None:
            return self.url.removeprefix("https://")
        return f"{parts[1]} #{parts[2]}" if parts[2] and self.what != "file" else parts[1]


@dataclass(frozen=True)
class Printed:
    """Digits as a thread prints them: what they are `of` a form on a case, in `unit`, and the verdict on them.

    `excess` is the factor less one; `shortfall` is one over the factor; `times` conversations were counted together.
    """

    digits: str
    unit: str
    of: str
    case: Mapping
    verdict: str
    thread: Thread
    wrong: Callable
    right: Callable
    times: float = 1

    def ours(self) -> float:
        """What the library computes, in the unit of the digits."""
        if self.of in ("wrong", "right"):
            return self.times * value(getattr(self, self.of), self.case) / claims.SCALES[self.unit]
        factor = value(self.wrong, self.case) / value(self.right, self.case)
        return {"factor": factor, "shortfall": 1 / factor, "excess": factor - 1}[self.of] / claims.SCALES[self.unit]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A wrong formula, the right one, and cases; `kinds` are the layers on which it is this slip, all where empty.

    `shown` is the right formula as a reader of this exhibit needs it: lines, each a label and a formula.
    """

    id: str
    room: str
    title: str
    symptom: str
    natural: str
    wrong: Callable
    right: Callable
    cases: tuple[Mapping, ...]
    threads: tuple[Thread, ...]
    printed: tuple[Printed, ...]
    kinds: frozenset[str]
    shown: tuple[tuple[str, Callable], ...]

    @property
    def unit(self) -> str:
        """The unit of what the formulas give."""
        return faces.units(self.right)["return"]

    def factor(self, case: Mapping | None = None) -> float:
        """How many times too large the wrong form is on `case`, the first one if none is given."""
        chosen = self.cases[0] if case is None else case
        return value(self.wrong, chosen) / value(self.right, chosen)


# --- values ----------------------------------------------------------------------------------

def as_printed(config: Mapping) -> dict:
    """The counts and widths that `config` prints, at face value: what a calculator reads that knows no layers.

    >>> as_printed({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8})["d_head"]
    8
    """
    fields = text_part(config)
    n_heads, d_model = fields.whole("num_attention_heads", "n_head"), fields.whole("hidden_size", "n_embd")
    found = {"d_model": d_model, "n_heads": n_heads, "n_layers": fields.whole("num_hidden_layers", "n_layer"),
             "n_kv_heads": fields.whole("num_key_value_heads", "num_kv_heads", usual=n_heads),
             "d_head": fields.whole("head_dim", usual=d_model // n_heads)}
    latent = {"kv_rank": "kv_lora_rank", "d_rope": "qk_rope_head_dim"}
    return found | {name: fields.whole(field) for name, field in latent.items() if fields.has(field)}


def published_config(key: str) -> dict:
    """The published config.json of a model of the catalog, made anew for each caller."""
    return json.loads(read_text(f"configs/{catalog.MODELS[key].key}.json"))


@cache
def model_facts(key: str) -> Mapping:
    """The facts of a model of the catalog, and beside them the counts and widths that its config prints."""
    return {**as_printed(published_config(key)), **catalog.MODELS[key].facts}


@cache
def _config_facts(key: str) -> Mapping:
    config = _configs()[key]
    return {**as_printed(config), **catalog.model_from_config(config, key, config["name"]).facts}


def _configs() -> Mapping:
    return read_toml(FILE).get("config", {})


def case_name(case: Mapping) -> str:
    """The model or the GPU of a case in words."""
    if "config" in case:
        return _configs()[case["config"]]["name"]
    if "model" in case:
        return catalog.MODELS[case["model"]].name
    return catalog.GPUS[case["gpu"]].name if "gpu" in case else ""


def value(formula: Callable, case: Mapping) -> float:
    """`formula` on `case`: the facts of its model and GPU, and its numbers by name on top.

    Raises `TypeError` for a fact that the case does not give, as the latent of a model that has none.
    """
    model = model_facts(case["model"]) if "model" in case else _config_facts(case["config"]) if "config" in case else {}
    gpu = catalog.GPUS[case["gpu"]].computing_in("bf16").facts if "gpu" in case else {}
    return faces.at(formula, {**catalog.ASSUMED.facts, **USUAL, **model, **gpu, **case})


# --- the museum ------------------------------------------------------------------------------

@cache
def load() -> tuple[Exhibit, ...]:
    """Every exhibit, in the order of the museum. Raises `MuseumError` for one that is not complete."""
    found = tuple(_exhibit(table) for table in read_toml(FILE)["exhibit"])
    ids = [exhibit.id for exhibit in found]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise MuseumError(f"two exhibits have the id {', '.join(repeated)}")
    return found


def rooms() -> dict[str, tuple[str, list[Exhibit]]]:
    """Title and exhibits of each room by its key, in the order of the museum."""
    return {key: (table["title"], [one for one in load() if one.room == key]) for key, table in read_toml(FILE)["room"].items()}


def exhibit(id: str) -> Exhibit:
    """The exhibit of that id. Raises `KeyError` that lists those there are."""
    found = {one.id: one for one in load()}
    if id not in found:
        raise KeyError(f"no exhibit {id!r}; there are {', '.join(found)}")
    return found[id]


def _exhibit(table: Mapping) -> Exhibit:
    name = table.get("id", "without an id")
    needed = ("room", "title", "symptom", "natural", "wrong", "right", "cases", "thread")
    if missing := [part for part in needed if not table.get(part)]:
        raise MuseumError(f"exhibit {name} has no {', '.join(missing)}")
    if unknown := sorted(set(table) - {*needed, *OPTIONAL}):
        raise MuseumError(f"exhibit {name} has {', '.join(unknown)}; it may have {', '.join((*needed, *OPTIONAL))}")
    if table["room"] not in read_toml(FILE)["room"]:
        raise MuseumError(f"exhibit {name} is in the room {table['room']!r}, which data/museum.toml does not have")
    threads = tuple(_thread(name, one) for one in table["thread"])
    printed = tuple(_printed(name, table, one, threads) for one in table.get("printed", []))
    shown = tuple((label, with_fixed(_right(name, formula), table.get("fixed", {}))) for label, formula in table.get("shown", [["right", table["right"]]]))
    return Exhibit(table["id"], table["room"], table["title"], table["symptom"], table["natural"], _form(name, table["wrong"]),
                   _right(name, table["right"]), tuple(table["cases"]), threads, printed, frozenset(table.get("kinds", ())), shown)


def with_fixed(formula: Callable, fixed: Mapping) -> Callable:
    """`formula` without those of its parameters that are in `fixed`, which then have these values."""
    signature = inspect.signature(formula)
    taken = {name: one for name, one in fixed.items() if name in signature.parameters}

    def shorter(**names):
        return formula(**names, **taken)

    shorter.__signature__ = signature.replace(parameters=[one for name, one in signature.parameters.items() if name not in taken])
    return shorter


def _thread(name: str, table: Mapping) -> Thread:
    if missing := [part for part in Thread.__dataclass_fields__ if not table.get(part)]:
        raise MuseumError(f"exhibit {name} has a thread without {', '.join(missing)}")
    if table["state"] not in STATES or not table["url"].startswith("https://"):
        raise MuseumError(f"exhibit {name} has a thread with url {table['url']!r} and state {table['state']!r}; the first begins with "
                          f"https://, the second is one of {', '.join(STATES)}")
    return Thread(**table)


def _printed(name: str, exhibit_table: Mapping, table: Mapping, threads: tuple[Thread, ...]) -> Printed:
    if missing := [part for part in ("digits", "of", "case", "verdict", "thread") if not table.get(part)]:
        raise MuseumError(f"exhibit {name} has printed digits without {', '.join(missing)}")
    if table["of"] not in OF or table.get("unit", "") not in claims.SCALES or not 1 <= table["thread"] <= len(threads):
        raise MuseumError(f"exhibit {name} prints {table['digits']} {table.get('unit', '')} of {table['of']!r} in thread {table['thread']}; "
                          f"it is of {', '.join(OF)}, in {', '.join(filter(None, claims.SCALES))}, in one of {len(threads)} threads")
    return Printed(table["digits"], table.get("unit", ""), table["of"], table["case"], table["verdict"], threads[table["thread"] - 1],
                   _form(name, table.get("form", exhibit_table["wrong"])), _right(name, table.get("right", exhibit_table["right"])),
                   table.get("times", 1))


def _form(name: str, form: str) -> Callable:
    if not callable(found := getattr(forms, form, None)):
        raise MuseumError(f"exhibit {name} names the form {form!r}, which llmcost.museum.forms does not have")
    return found


def _right(name: str, formula: str) -> Callable:
    module, _, word = formula.partition(".")
    found = faces.formulas().get(word)
    if found is None or not found.__module__.endswith(f".{module}"):
        raise MuseumError(f"exhibit {name} names the formula {formula!r}, which the library does not have")
    return found


# --- what they show --------------------------------------------------------------------------

def check(exhibit: Exhibit, formula: Callable, within: float = 1e-6) -> None:
    """Raise `AssertionError`, with each case and how far off, unless `formula` is right on the cases of `exhibit`."""
    wrong = []
    for case in exhibit.cases:
        got, right = value(formula, case), value(exhibit.right, case)
        if not abs(got - right) <= within * abs(right):
            wrong.append(f"{case_name(case) or 'the case'}: {got:.6g} where {right:.6g} is right, {got / right:.4g} times")
    assert not wrong, f"{exhibit.title}. {'; '.join(wrong)}"


def right_by_luck(exhibit: Exhibit, within: float = 0.01) -> list[str]:
    """Names of the models of the catalog for which the wrong form gives the right number, at the first case's other values.

    A form that needs what a model does not have, such as a latent, is not right for it by luck.
    """
    if "model" not in exhibit.cases[0]:
        return []
    rest = {name: one for name, one in exhibit.cases[0].items() if name != "model"}
    return [model.name for key, model in catalog.MODELS.items()
            if (got := value_or_none(exhibit.wrong, {**rest, "model": key})) is not None
            and math.isclose(got, value(exhibit.right, {**rest, "model": key}), rel_tol=within)]


def value_or_none(formula: Callable, case: Mapping) -> float | None:
    """`formula` on `case`; None where the model does not have what it takes."""
    try:
        return value(formula, case)
    except TypeError:
        return None
