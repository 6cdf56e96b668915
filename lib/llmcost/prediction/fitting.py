"""The one command from measured runs to constants, intervals and what they cover: `python -m llmcost fit`."""

from collections.abc import Iterable, Mapping
from dataclasses import fields

from ..files import read_csv, read_prediction
from .cases import Refused, case_from, is_placed
from .constants import Constants, Engine
from .estimating import COLUMNS, Run, estimate, left_out
from .intervals import Domain, Interval, intervals
from .model import time_limits

SCALES = {"ttft_ms": 1e-3, "tpot_ms": 1e-3}
IN_DOUBT = "unit in doubt"  # in the notes of a row whose source contradicts itself: shown, but nothing is learned from it
SERVED_AS_ASKED = ("online-conc", "online-rate", "online-trace")  # whose output rate follows from the load: it says nothing more


def runs_of(rows: Iterable[Mapping[str, str]], engines: Mapping[str, Engine]) -> list[Run]:
    """Runs to learn from: rows that say how the model is placed and that measured something.

    Raises `RowError` for a row that cannot be read.
    """
    found = []
    for row in rows:
        try:
            case = case_from(row, engines, time_limits())
        except Refused:
            continue
        measured = {}
        for name, column in COLUMNS.items():
            if (row.get(column) or "").strip() and not (name == "output_rate" and case.kind in SERVED_AS_ASKED):
                measured[name] = float(row[column]) * SCALES.get(column, 1.0)
        if "input_rate" in measured:
            measured["input_rate"] *= case.replicas * case.placement.n_gpus
        if measured and is_placed(row) and IN_DOUBT not in row["notes"]:
            found.append(Run(case, measured))
    return found


def ranges() -> dict[str, tuple[float, float]]:
    """Ranges of what runs decide: the constants that no kernel shows alone, and the factors of engines but the first."""
    tables = read_prediction()
    asked = {**tables["constant"], **tables["engine"]}
    return {name: (table["low"], table["high"]) for name, table in asked.items() if table.get("fitted")}


def fitted(constants: Constants, engines: Mapping[str, Engine], rows: Iterable[Mapping[str, str]] | None = None) -> str:
    """The text of `data/fitted.toml`: values, intervals and domain, from `data/measurements/runs.csv` or from other `rows`."""
    runs = runs_of(read_csv("measurements/runs.csv") if rows is None else rows, engines)
    values, of_engines, told = estimate(runs, constants, engines, ranges())
    found = left_out(runs, values, of_engines, ranges())
    table = intervals((run.case, name, error) for _, run, name, error in found)
    return _text(values, of_engines, table, Domain.of(run.case for run in runs), len(runs))


def _text(values: Constants, engines: Mapping[str, Engine], table: Mapping[tuple[str, str, str], Interval], domain: Domain, n_runs: int) -> str:
    lines = [f"# Written by `python -m llmcost fit` from {n_runs:,} runs; change data/prediction.toml or data/measurements/runs.csv instead.", "", "[constant]"]
    lines += [f"{field.name} = {getattr(values, field.name):.4g}" for field in fields(values)]
    lines += ["", "[factor]"] + [f"{name} = {engine.factor:.4g}" for name, engine in engines.items()]
    kinds = ", ".join(f"[{_quoted(kind)}, {_quoted('mixture' if mixture else 'dense')}]" for kind, mixture in sorted(domain.kinds))
    machines = ", ".join(f"[{_quoted(gpu)}, {size:g}]" for gpu, size in sorted(domain.machines))
    lines += ["", "[domain]", f"batch = {domain.batch:g}", f"context = {domain.context:g}",
              f"engines = [{', '.join(map(_quoted, sorted(domain.engines)))}]", f"kinds = [{kinds}]", f"machines = [{machines}]"]
    for (kind, what, quantity), one in table.items():
        lines += ["", "[[interval]]", f"kind = {_quoted(kind)}", f"what = {_quoted(what)}", f"quantity = {_quoted(quantity)}",
                  f"low = {one.low:.4g}", f"high = {one.high:.4g}", f"n = {one.n}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"'
