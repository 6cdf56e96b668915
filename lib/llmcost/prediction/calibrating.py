"""One's own server: what a few runs on it change, how far off the predictions were and are, and what the runs cannot tell.

A handful of runs cannot say everything: a constant that they hardly touch stays where it was, and is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from ..files import read_prediction
from .cases import case_from, is_placed
from .constants import Constants, Engine
from .estimating import COLUMNS, Estimated, Run, errors, estimate
from .fitting import SCALES
from .model import constants, engines, time_limits


@dataclass(frozen=True)
class Calibration:
    """What one's own runs make of the constants.

    Attributes
    ----------
    constants, engines : after the runs, for `llmcost.prediction.predict`
    told : each number before and after, and whether the runs say anything about it
    before, after : mean error over what was measured, as a share of it
    n_measured : numbers that were measured and predicted
    """

    constants: Constants
    engines: dict[str, Engine]
    told: list[Estimated]
    before: float
    after: float
    n_measured: int

    @property
    def not_identifiable(self) -> list[str]:
        """Names about which the runs say little: they stay near where they were."""
        return [one.name for one in self.told if not one.identified]


def calibrate(rows: Sequence[Mapping[str, str]]) -> Calibration:
    """Constants and engines for a server with these runs, rows of the schema of `data/measurements/runs.csv`.

    Raises `RowError` for a row that cannot be read, and `ValueError` without a row that says how the model is placed and measured anything.
    """
    runs = []
    for row in rows:
        case = case_from(row, engines(), time_limits())
        measured = {name: float(row[column]) * SCALES.get(column, 1.0) for name, column in COLUMNS.items() if (row.get(column) or "").strip()}
        if measured and is_placed(row):
            runs.append(Run(case, measured))
    if not runs:
        raise ValueError(f"{len(rows)} rows, none with tp and a measured value; give out_tok_s, ttft_ms or tpot_ms for at least one row with tp")
    tables = read_prediction()
    used = {run.case.engine.name for run in runs}
    free = {name: (table["low"], table["high"]) for name, table in tables["constant"].items()}
    free |= {name: (0.6 * engines()[name].factor, 1.67 * engines()[name].factor) for name in sorted(used)}
    begun = errors(runs, constants(), engines())
    values, of_engines, told = estimate(runs, constants(), engines(), free, one_server=True)
    ended = errors(runs, values, of_engines)
    return Calibration(values, of_engines, told, _mean(begun), _mean(ended), len(begun))


def told(found: Calibration) -> str:
    """A calibration as lines of text: errors, what changed, and what the runs cannot tell."""
    lines = [f"{found.n_measured} measured values: mean error {found.before:.1%} before, {found.after:.1%} after"]
    lines += [f"{one.name:<20} {one.before:>10.4g} -> {one.after:<10.4g} plausible from {one.low:.3g} to {one.high:.3g}" for one in found.told if one.identified]
    return "\n".join([*lines, f"not identifiable from these runs: {', '.join(found.not_identifiable) or 'nothing'}"])


def _mean(found) -> float:
    return sum(abs(exp(error) - 1) for _, _, error in found) / len(found)


def rows_of_benchmark(summary: Mapping, **given: str) -> dict[str, str]:
    """A row from the result of a serving benchmark, `vllm bench serve --save-result`, and what it does not say in `given`.

    `given` has the columns of a row, such as model, hw, n_gpus, tp, engine_version, weight_prec. Lengths are means over the requests.

    Raises `ValueError` for a result without the times or counts that it needs.
    """
    needed = ("completed", "total_input_tokens", "total_output_tokens", "duration", "mean_ttft_ms", "mean_tpot_ms")
    if missing := [name for name in needed if not isinstance(summary.get(name), (int, float))]:
        raise ValueError(f"the result has no {', '.join(missing)}; a benchmark that saves its result writes {', '.join(needed)}")
    if summary["completed"] < 1:
        raise ValueError("the result has no completed request")
    count, users = summary["completed"], summary.get("max_concurrency")
    rate = summary.get("request_rate")
    if not users and (rate in (None, "inf") or not isinstance(rate, (int, float))):
        raise ValueError(f"max_concurrency = {users!r} and request_rate = {rate!r}; one of them says how the load came")
    load = {"kind": "online-conc", "batch_or_conc": str(users)} if users else {"kind": "online-rate", "load": f"open-loop {rate} req/s"}
    return {"row_id": "own", "engine": "vllm", "isl": str(summary["total_input_tokens"] / count), "osl": str(summary["total_output_tokens"] / count),
            "ttft_ms": str(summary["mean_ttft_ms"]), "tpot_ms": str(summary["mean_tpot_ms"]),
            "out_tok_s": str(summary["total_output_tokens"] / summary["duration"]), **load, **given}
