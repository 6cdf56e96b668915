"""Traces of real services as requests: the public Azure format, and what vLLM's benchmark writes. Text goes in; nothing is opened.

A row that is not whole is refused by its number, and nothing is half read.
"""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from .workload import Request, TraceError

AZURE_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOST_TOKENS, MOST_SECONDS = 10**9, 10**12


def azure_trace(text: str) -> list[Request]:
    """Requests of a CSV in the format of the Azure LLM inference traces; times are counted from the earliest row.

    Rows may stand in any order, and requests may come at the same time. A time without an offset is UTC.

    Raises `TraceError` with the line and the column for a cell that is missing, empty, negative or no number, or one too many.

    >>> azure_trace("TIMESTAMP,ContextTokens,GeneratedTokens\\n2023-11-16 18:15:46.6805900,374,44\\n2023-11-16 18:15:50,396,109\\n")[1]
    Request(arrival=3.31941, prompt_tokens=396, output_tokens=109, id='', prefix='', prefix_tokens=0, after=None, known_tokens=0)
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TraceError(f"line {reader.line_num + 1}: {error}") from None
    if lacking := [name for name in AZURE_COLUMNS if name not in (reader.fieldnames or ())]:
        raise TraceError(f"the trace has no column {', '.join(lacking)}; its header must name {', '.join(AZURE_COLUMNS)}")
    found = []
    for line, row in rows:
        if None in row:
            raise TraceError(f"line {line} has more cells than the header")
        prompt, output = (_whole(row[name], f"line {line}, {name}", least=1) for name in AZURE_COLUMNS[1:])
        found.append((_time(row["TIMESTAMP"], line), prompt, output))
    if not found:
        raise TraceError("the trace has a header and no rows: it needs at least one request")
    begin = min(time for time, _, _ in found)
    return [Request((time - begin).total_seconds(), prompt, output) for time, prompt, output in found]


def _time(text, line):
    try:
        time = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise TraceError(f"line {line}, TIMESTAMP: {text!r} is no time; write it as 2023-11-16 18:15:46.680590") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _whole(text, place, least):
    try:
        value = int(str(text).strip())
    except ValueError:
        raise TraceError(f"{place}: {text!r} is no whole number of tokens") from None
    if not least <= value <= MOST_TOKENS:
        raise TraceError(f"{place}: {text}; it must be from {least} to {MOST_TOKENS:,}")
    return value


def vllm_benchmark(text: str) -> list[Request]:
    """Requests of a result that vLLM's serving benchmark saved with `--save-result --save-detailed`.

    Times are its `start_times`; where they were not saved, requests come evenly at its `request_rate`. Requests that failed, with
    no output, are left out.

    Raises `TraceError` that names the field and the entry for what is missing or makes no sense.
    """
    try:
        result = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise TraceError(f"that is not JSON: {error}") from None
    if not isinstance(result, Mapping):
        raise TraceError(f"a result is an object with fields such as input_lens; this is {type(result).__name__}")
    lists = {name: result.get(name) for name in ("input_lens", "output_lens")}
    for name, values in lists.items():
        if not isinstance(values, list) or not values:
            raise TraceError(f"{name} is not a list of lengths; save the result with --save-result --save-detailed")
    prompts, outputs = lists.values()
    if len(prompts) != len(outputs):
        raise TraceError(f"{len(prompts)} input_lens and {len(outputs)} output_lens; each request has one of both")
    times = _start_times(result, len(prompts))
    found = []
    for i, (time, prompt, output) in enumerate(zip(times, prompts, outputs)):
        prompt = _whole(prompt, f"input_lens, entry {i}", least=1)
        if output := _whole(output, f"output_lens, entry {i}", least=0):
            found.append(Request(time, prompt, output))
    if not found:
        raise TraceError("every request failed: all output_lens are 0")
    return found


def _start_times(result, count):
    times = result.get("start_times")
    if times is None:
        rate = result.get("request_rate")
        if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 1 / MOST_SECONDS <= rate < float("inf"):
            raise TraceError(f"no start_times, and request_rate = {rate!r}: when did the requests come? Save start_times, or give a rate")
        return [i / rate for i in range(count)]
    if not isinstance(times, list) or len(times) != count:
        raise TraceError(f"start_times has {len(times) if isinstance(times, list) else 'no'} entries for {count} requests")
    for i, time in enumerate(times):
        if not isinstance(time, (int, float)) or isinstance(time, bool) or not abs(time) <= MOST_SECONDS:
            raise TraceError(f"start_times, entry {i}: {time!r} is no time in seconds")
    begin = min(times)
    return [time - begin for time in times]
