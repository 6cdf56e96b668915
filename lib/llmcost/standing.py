"""Where all that can turn around stands today: conclusions of chapters and verdicts on claims, and what a new fact would turn.

A new price or specification is tried on a copy of `data/` first. Only when everything there can still be computed is it written.
"""

import csv
import datetime
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import catalog, claims, files, takeaways
from .records import FactError

PRICES, RENTS, SPECIFICATIONS = "prices/api.csv", "prices/gpu_rental.csv", "accelerators.toml"


@dataclass(frozen=True)
class Turned:
    """One conclusion or verdict that a change turns over; values in its own unit."""

    what: str
    before: str
    after: str
    value_before: float | None
    value_after: float | None


def standings() -> dict[str, tuple[str, float | None]]:
    """The standing and the value of every takeaway, and the verdict and our value of every claim, by name."""
    found: dict[str, tuple[str, float | None]] = {}
    for takeaway in map(takeaways.evaluate, takeaways.load()):
        found[f"takeaway {takeaway.takeaway.id}"] = takeaway.standing, takeaway.value
    for claim in claims.load():
        found[f"claim {claim.id}"] = claims.derive(claim), claims.evaluate(claim) if claim.formula else None
    return found


def turned_by(changes: Mapping[str, str]) -> list[Turned]:
    """What other texts of files below `data/` would turn over. Raises `FactError` with the reason when they cannot be read."""
    done = files.run_on_copy(changes, "standings")
    if done.returncode:
        raise FactError((done.stderr.strip().splitlines() or ["the change cannot be evaluated"])[-1])
    before, after = standings(), json.loads(done.stdout)
    return [Turned(what, before[what][0], standing, before[what][1], value) for what, (standing, value) in after.items()
            if what in before and before[what][0] != standing]


# --- new facts ------------------------------------------------------------------------------------------------

def with_price(key: str, start: str, source: str, where: str, seen: str = "", **parts: str) -> dict[str, str]:
    """`data/prices/api.csv` with one more price of a model, in USD for a million tokens; the one before it ends on the day before.

    `parts` are columns of that file; vendor, model and reasoning are those of the price before where they are not given.
    Raises `FactError` for a new model without them, or a day that is not after the last one.
    """
    rows, columns = _rows(PRICES)
    earlier = [row for row in rows if row["key"] == key]
    if unknown := sorted(set(parts) - set(columns)):
        raise FactError(f"a price has no {', '.join(unknown)}; it has {', '.join(columns)}")
    if not earlier and (missing := [name for name in ("vendor", "model", "reasoning") if name not in parts]):
        raise FactError(f"{key} has no price yet: give its {', '.join(missing)} too, as in vendor=OpenAI")
    last = max(earlier, key=lambda row: row["from"], default=None)
    day = _day("from", start)
    if last is not None:
        if str(day) <= last["from"]:
            raise FactError(f"the last price of {key} is from {last['from']}; a new one begins later, not on {start}")
        last["to"] = min(last["to"] or "9999", str(day - datetime.timedelta(days=1)))
        parts = {**{name: last[name] for name in ("vendor", "model", "reasoning")}, **parts}
    row = {**dict.fromkeys(columns, ""), "key": key, "from": start, "seen": seen or start, "source": source, "where": where, **parts}
    place = rows.index(last) + 1 if last else len(rows)
    return {PRICES: _text(columns, [*rows[:place], row, *rows[place:]])}


def with_rent(gpu: str, date: str, usd_per_hour: str, source: str, where: str, kind: str = "on-demand", note: str = "") -> dict[str, str]:
    """`data/prices/gpu_rental.csv` with one more rent of an accelerator, in USD for an hour."""
    rows, columns = _rows(RENTS)
    _day("date", date)
    row = {"gpu": gpu, "date": date, "usd_per_gpu_hour_low": usd_per_hour, "usd_per_gpu_hour_high": usd_per_hour, "kind": kind, "source": source, "where": where,
           "quality": "primary", "note": note}
    return {RENTS: _text(columns, [*rows, row])}


def with_specification(gpu: str, name: str, value: str, source: str, where: str, date: str) -> dict[str, str]:
    """`data/accelerators.toml` with another value of one fact, in base units, with its own source and day.

    Raises `FactError` for an accelerator or a fact that the file does not have.
    """
    facts, text = catalog.GPUS[gpu], files.read_text(SPECIFICATIONS)
    if name not in facts.facts:
        raise FactError(f"{gpu} has no fact {name!r}; it has {', '.join(facts.facts)}")
    _day("date", date)
    begin = text.index(f"[{gpu}]\n")
    end = text.find("\n[", begin)
    section = text[begin:] if end < 0 else text[begin:end]
    quote = lambda told: told.replace("\\", "\\\\").replace('"', '\\"')
    line = f'{name} = {{ value = {float(value)!r}, source = "{quote(source)}", where = "{quote(where)}", date = {date} }}'
    changed, count = re.subn(rf"^{re.escape(name)} = .*$", lambda _: line, section, flags=re.MULTILINE)
    if count != 1:
        raise FactError(f"{name} of {gpu} is computed from others in data/{SPECIFICATIONS}: change what it comes from")
    return {SPECIFICATIONS: text.replace(section, changed)}


def _rows(name):
    table = csv.DictReader(io.StringIO(files.read_text(name), newline=""))
    return list(table), list(table.fieldnames)


def _text(columns, rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _day(name, text):
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise FactError(f"{name} is {text!r}; a day is written 2026-11-21") from None


def told(turned: list[Turned]) -> str:
    """One line for each, or that nothing turns over.

    >>> print(told([]))
    nothing turns over
    """
    lines = [f"{one.what}: {one.before} -> {one.after}" + ("" if one.value_after is None else f" (from {one.value_before:.4g} to {one.value_after:.4g})")
             for one in turned]
    return "\n".join(lines) or "nothing turns over"
