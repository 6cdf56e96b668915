"""From a row to a prediction."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, lru_cache

from ..catalog import Named
from ..files import read_csv, read_prediction
from .cases import Case, Refused, case_from, is_placed, placements_for
from .constants import Constants, Engine
from .intervals import Domain, Interval, interval_for
from .regimes import REGIMES, Outcome
from .replica import Replica


QUANTITIES = tuple(one.name for one in fields(Outcome))


@dataclass(frozen=True)
class Prediction:
    """What is predicted for one row.

    Attributes
    ----------
    row_id : of the row
    outcome : the prediction, None where it is refused
    case : what was predicted, None where it is refused
    intervals : by name of a quantity of `Outcome`, factors between which the measured value lies in 80 % of the cases
    inside : whether everything about the case was measured somewhere
    refused : why nothing is predicted, else empty
    """

    row_id: str
    outcome: Outcome | None
    case: Case | None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    inside: bool = False
    refused: str = ""


@cache
def constants() -> Constants:
    """The constants of `data/prediction.toml`."""
    return Constants.from_table(read_prediction()["constant"])


@cache
def engines() -> dict[str, Engine]:
    """The generations of engines of `data/prediction.toml`, by name."""
    return {name: Engine(name, **{key: value for key, value in table.items() if key in Engine.__dataclass_fields__ and key != "name"})
            for name, table in read_prediction()["engine"].items()}


@cache
def known_intervals() -> dict[tuple[str, str, str], Interval]:
    """Intervals of `data/prediction.toml` by kind of load, dense or mixture, and quantity."""
    return {(row["kind"], row["what"], row["quantity"]): Interval(row["low"], row["high"], row["n"]) for row in read_prediction().get("interval", [])}


@cache
def domain() -> Domain:
    """What the runs behind the constants cover, of `data/prediction.toml`."""
    table = read_prediction()["domain"] or {"machines": [], "engines": [], "kinds": [], "batch": 0, "context": 0}
    return Domain(frozenset((gpu, size) for gpu, size in table["machines"]), frozenset(table["engines"]),
                  frozenset((kind, what == "mixture") for kind, what in table["kinds"]), table["batch"], table["context"])


@cache
def time_limits() -> dict[tuple[str, str], float]:
    """Limits of the time per output token of benchmarks that have one: (model, kind) to seconds, the latest round."""
    return {(row["model"], f"mlperf-{row['scenario'].lower()}"): float(row["tpot_s"]) for row in read_csv("measurements/mlperf_limits.csv")}


def predict(row: Mapping[str, str], chosen: Constants | None = None, of_engines: Mapping[str, Engine] | None = None) -> Prediction:
    """The prediction for one row of the schema of `data/measurements/runs.csv`.

    Raises `RowError` for a cell that is missing or cannot be.
    """
    try:
        case = case_from(row, of_engines or engines(), time_limits())
        case, outcome = _answer(case, chosen or constants(), is_placed(row))
    except Refused as reason:
        return Prediction(row["row_id"], None, None, refused=str(reason))
    inside = domain().has(case)
    return Prediction(row["row_id"], outcome, case, {name: interval_for(case, name, known_intervals(), inside) for name in QUANTITIES}, inside)


def run(row_id: str) -> dict[str, str]:
    """One row of `data/measurements/runs.csv`. Raises `UnknownName` with the nearest ones for an id that it does not have."""
    return dict(_runs()[row_id])


@cache
def _runs() -> Named:
    return Named("run", {row["row_id"]: row for row in read_csv("measurements/runs.csv")})


def replica_of(row: Mapping[str, str], chosen: Constants | None = None, engine: Engine | None = None) -> Replica:
    """The copy of the model that a row speaks of: what fits on it, and how long its passes take.

    Raises `RowError` for a cell that cannot be, and `Refused` for a row that is refused.
    """
    found = predict(row)
    if found.case is None:
        raise Refused(found.refused)
    case = found.case
    return _replica(case.model, case.gpu, case.placement, case.formats, chosen or constants(), engine or case.engine)


def _answer(case: Case, chosen: Constants, placed: bool) -> tuple[Case, Outcome]:
    if placed:
        return case, outcome_of(case, chosen)
    outcomes, reasons = [], []
    for placement in placements_for(int(case.placement.n_gpus), case.model.n_heads):
        one = replace(case, placement=placement, replicas=case.placement.n_gpus / placement.n_gpus)
        try:
            outcomes.append((one, outcome_of(one, chosen)))
        except Refused as reason:
            reasons.append(str(reason))
    if not outcomes:
        raise Refused("no tensor-parallel group will do: " + "; ".join(reasons or [f"{case.placement.n_gpus} GPUs divide into none"]))
    return max(outcomes, key=lambda pair: pair[1].output_rate or 0.0)


def outcome_of(case: Case, chosen: Constants) -> Outcome:
    """What the regime of a case makes of its replica. Raises `Refused` for a model that does not fit."""
    found = _replica(case.model, case.gpu, case.placement, case.formats, chosen, case.engine)
    if found.room_bytes <= 0:
        raise Refused(f"{case.model.name} does not fit: {found.weight_bytes / 1e9:.1f} GB of weights on each of {case.placement.n_gpus} GPUs with "
                      f"{case.gpu.memory_bytes / 1e9:.1f} GB, of which the engine has {(found.weight_bytes + found.room_bytes) / 1e9:.1f} GB")
    return REGIMES[case.kind](case, found)


@lru_cache(maxsize=8192)
def _replica(model, gpu, placement, formats, chosen, engine):
    return Replica(model, gpu, placement, formats, chosen, engine)
