"""The files of `data/`, and the notebooks beside it: the only module that opens them. Read as tables, rows or text; replaced whole; tried on a copy."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from .records import FactError

DATA = Path(os.environ.get("LLMCOST_DATA") or Path(__file__).parents[2] / "data")


def read_toml(name: str) -> dict:
    """The tables of one TOML file. Raises `FactError` for one that does not exist or is not TOML."""
    path = DATA / name
    if not path.exists():
        raise FactError(f"{path} does not exist; the book reads the folder data/ of the book's checkout, "
                        f"or the folder that the variable LLMCOST_DATA names")
    with path.open("rb") as file:
        try:
            return tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise FactError(f"data/{name}: {error}") from None


def read_csv(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file below `data/`, as text. Raises `FactError` for a row with missing or extra cells."""
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise FactError(f"data/{name}, line {number} does not have as many cells as the header")
    return rows


def read_prediction() -> dict:
    """What `llmcost.prediction` rests on: `data/prediction.toml`, and beside it what `data/fitted.toml` estimates.

    A constant that runs decide has its value, and an engine its factor, from the second.
    """
    tables, found = read_toml("prediction.toml"), read_toml("fitted.toml") if (DATA / "fitted.toml").exists() else {}
    for kind, values, name in (("constant", found.get("constant", {}), "value"), ("engine", found.get("factor", {}), "factor")):
        for key, table in tables[kind].items():
            if table.get("fitted"):
                table[name] = values.get(key, (table["low"] * table["high"]) ** 0.5)
    return {**tables, "domain": found.get("domain"), "interval": found.get("interval", [])}


def read_source(path: str) -> tuple[str, str]:
    """Name and text of a source document; the name is the first three digits of that of the file."""
    return Path(path).name[:3], Path(path).read_text(encoding="utf-8")


def read_text(name: str) -> str:
    """A file below `data/` as it stands."""
    return (DATA / name).read_text(encoding="utf-8")


def write_text(name: str, text: str) -> None:
    """Replace a file below `data/`, whole or not at all."""
    part = DATA / f"{name}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(DATA / name)


def run_on_copy(changes: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess:
    """`python -m llmcost` with `arguments` on a copy of `data/` in which some files have another text; paths in what it says are those of `data/`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(DATA, Path(folder) / "data")
        for name, text in changes.items():
            (copy / name).write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-m", "llmcost", *arguments], capture_output=True, text=True, env=os.environ | {"LLMCOST_DATA": str(copy)})
    done.stderr = done.stderr.replace(str(copy), "data")
    return done


def config_path(key: str) -> Path:
    """Where the `config.json` of a model of the catalog is."""
    return DATA / "configs" / f"{key}.json"


def read_chapter(name: str) -> list[dict]:
    """The cells of the notebook of a chapter; a page in Markdown is one cell. Raises `OSError` when there is none of that name."""
    page = DATA.parent / "chapters" / f"{name}.md"
    if page.exists():
        return [{"cell_type": "markdown", "source": page.read_text(encoding="utf-8")}]
    return json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]


def read_claims(name: str) -> list[dict]:
    """The tables `[[claim]]` of one file below `data/claims/`."""
    return read_toml(f"claims/{name}.toml").get("claim", [])


def claim_files() -> list[str]:
    """Names of the files below `data/claims/`, one for each source document."""
    return sorted(path.stem for path in (DATA / "claims").glob("*.toml"))


def read_takeaways() -> list[dict]:
    """The tables `[[takeaway]]` of `data/takeaways.toml`."""
    return read_toml("takeaways.toml").get("takeaway", [])


def numeral_files() -> list[str]:
    """Names of the files below `data/numerals/`, one for each source document."""
    return sorted(path.stem for path in (DATA / "numerals").glob("*.csv"))
