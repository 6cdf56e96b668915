"""Tables of runs: read, predicted row by row, and written; a bad row is reported and the others are done."""

import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .cases import RowError
from .constants import Constants
from .model import Prediction, predict

COLUMNS = ("row_id", "out_tok_s", "out_tok_s_low", "out_tok_s_high", "out_tok_s_per_gpu", "in_tok_s_per_gpu", "ttft_ms", "ttft_ms_low", "ttft_ms_high",
           "tpot_ms", "tpot_ms_low", "tpot_ms_high", "in_domain", "refused")


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header. Raises `OSError` for a file that cannot be read and `ValueError` for one without columns."""
    rows = list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"), newline="")))
    if rows and "row_id" not in rows[0]:
        raise ValueError(f"{path} has no column row_id; it has {', '.join(map(str, rows[0]))}")
    return rows


def predict_rows(rows: Iterable[Mapping[str, str]], chosen: Constants | None = None,
                 progress: Callable[[int], None] = lambda done: None) -> tuple[list[Prediction], list[str]]:
    """Predictions for all rows that can be read, in their order, and one message for each that cannot: line, column, reason.

    Lines are counted from 2 on, below the header.
    """
    found, wrong = [], []
    for line, row in enumerate(rows, start=2):
        if None in row.values() or None in row:
            wrong.append(f"line {line}: not as many cells as the header")
            continue
        try:
            found.append(predict(row, chosen))
        except RowError as error:
            wrong.append(f"line {line}, column {error.column}: {error}")
        progress(line - 1)
    return found, wrong


def cells(found: Prediction) -> dict[str, str]:
    """One prediction as a row of `COLUMNS`; empty where nothing is predicted."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {"row_id": found.row_id, "refused": found.refused}
    if found.outcome is None:
        return row
    outcome, gpus = found.outcome, found.case.replicas * found.case.placement.n_gpus
    row["in_domain"] = "true" if found.inside else "false"
    for name, column, scale in (("output_rate", "out_tok_s", 1), ("ttft", "ttft_ms", 1e3), ("tpot", "tpot_ms", 1e3)):
        value = getattr(outcome, name)
        if value is not None:
            interval = found.intervals[name]
            row |= {column: f"{scale * value:.6g}", f"{column}_low": f"{scale * value * interval.low:.6g}",
                    f"{column}_high": f"{scale * value * interval.high:.6g}"}
    for name, column in (("output_rate", "out_tok_s_per_gpu"), ("input_rate", "in_tok_s_per_gpu")):
        if getattr(outcome, name) is not None:
            row[column] = f"{getattr(outcome, name) / gpus:.6g}"
    return row


def predict_file(source: str | Path, target: str | Path, report=sys.stderr) -> int:
    """Predict the rows of `source` into `target`; the number of rows that could not be read, each of which `report` gets a line for.

    `target` is written when all is done, whole or not at all. Raises `OSError` and `ValueError` as `read_rows` does.
    """
    rows = read_rows(source)
    every = max(len(rows) // 10, 5000)

    def progress(done):
        if done % every == 0 and done < len(rows):
            print(f"{done:,} of {len(rows):,} rows", file=report)

    found, wrong = predict_rows(rows, progress=progress)
    for message in wrong:
        print(f"{source}: {message}", file=report)
    target = Path(target)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(map(cells, found))
    part = target.with_name(target.name + ".part")
    part.write_text(text.getvalue(), encoding="utf-8", newline="")
    part.replace(target)
    refused = sum(bool(one.refused) for one in found)
    print(f"{target}: {len(found):,} predictions, {refused:,} of them refused; {len(wrong):,} rows could not be read", file=report)
    return len(wrong)
