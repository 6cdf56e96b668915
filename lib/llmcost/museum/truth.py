"""The truth table: parameters and bytes of state of every model of the catalog, in whole numbers.

One row for each model and context. Keys and values have 16 bits, running sums of linear attention 32; index keys and the buffers of
convolutions and compressors are as engines keep them. `next_token_bytes` is what one token more adds.
"""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from .. import attention, catalog
from .exhibits import value

CONTEXTS = (1, 4_096, 131_072)
COLUMNS = ("model", "name", "parameters", "active_parameters", "context", "state_bytes", "next_token_bytes")


def contexts(key: str) -> list[int]:
    """Those of `CONTEXTS` that the model states to take; its longest in place of those beyond.

    >>> contexts("llama_2_7b"), contexts("mistral_7b")
    ([1, 4096], [1, 4096, 32768])
    """
    longest = catalog.MODELS[key].facts.get("max_context", CONTEXTS[-1])
    return sorted({min(context, longest) for context in CONTEXTS})


def state_bytes(key: str, context: int) -> int:
    """Bytes that one conversation of `context` tokens keeps.

    >>> state_bytes("llama_3_1_70b", 4096)
    1342177280
    """
    found = value(attention.state_bytes, {"model": key, "context": context})
    if found != int(found):
        raise ValueError(f"{key} keeps {found} bytes at {context:,} tokens, which is no whole number")
    return int(found)


def rows() -> list[dict]:
    """Every row of the table, models in the order of the catalog."""
    return [dict(zip(COLUMNS, (key, model.name, model.n_params, model.n_active_params, context, state_bytes(key, context),
                               state_bytes(key, context + 1) - state_bytes(key, context)), strict=True))
            for key, model in catalog.MODELS.items() for context in contexts(key)]


def as_csv(table: Iterable[dict]) -> str:
    """The table as CSV, one row for each model and context."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def as_json(table: Iterable[dict]) -> str:
    """The table as JSON: the same rows, and what they count."""
    return json.dumps({"counts": " ".join(__doc__.split("\n\n", 1)[1].split()), "rows": list(table)}, indent=1) + "\n"


FORMATS = {".csv": as_csv, ".json": as_json}


def write(target: str | Path) -> int:
    """Write the table to a file, as CSV or JSON by the end of its name; the number of rows. Raises `ValueError` for another end."""
    if Path(target).suffix not in FORMATS:
        raise ValueError(f"{target}: the table is written as {' or '.join(FORMATS)}; end the name with one of these")
    found = rows()
    Path(target).write_text(FORMATS[Path(target).suffix](found), encoding="utf-8")
    return len(found)
