"""The usage record of an API answer: five counts, whoever wrote it.

Each vendor names and counts tokens in its own way: one includes the cached part in the prompt, another
leaves it out; one includes reasoning in the output, another adds it. `KINDS` says for each kind of record
which fields to add up. The live controls read the same table with a twin of `read` in JavaScript; a test
holds the two equal, to the words of their errors.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

COUNTS = ("input_tokens", "cached_tokens", "written_tokens", "output_tokens", "reasoning_tokens")
TOTALS = ("total_tokens", "totalTokenCount")
LIMIT = 1_000_000_000
"""No request has more tokens than this: a larger count is a slip."""

DEEPEST = 100
"""No answer has braces in braces to this depth: a text that has is not read further."""

KINDS = (
    {"name": "DeepSeek chat", "fields": ["prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens"],
     "total_tokens": ["prompt_tokens", "completion_tokens"],
     "input_tokens": ["prompt_tokens"],
     "cached_tokens": ["prompt_cache_hit_tokens"],
     "written_tokens": [],
     "output_tokens": ["completion_tokens"],
     "reasoning_tokens": ["completion_tokens_details.reasoning_tokens"]},
    {"name": "OpenAI chat completions", "fields": ["prompt_tokens", "completion_tokens"],
     "total_tokens": ["prompt_tokens", "completion_tokens"],
     "input_tokens": ["prompt_tokens"],
     "cached_tokens": ["prompt_tokens_details.cached_tokens"],
     "written_tokens": ["prompt_tokens_details.cache_write_tokens"],
     "output_tokens": ["completion_tokens"],
     "reasoning_tokens": ["completion_tokens_details.reasoning_tokens"]},
    {"name": "xAI chat completions", "fields": ["prompt_tokens", "completion_tokens"],
     "total_tokens": ["prompt_tokens", "completion_tokens", "completion_tokens_details.reasoning_tokens"],
     "input_tokens": ["prompt_tokens"],
     "cached_tokens": ["prompt_tokens_details.cached_tokens"],
     "written_tokens": [],
     "output_tokens": ["completion_tokens", "completion_tokens_details.reasoning_tokens"],
     "reasoning_tokens": ["completion_tokens_details.reasoning_tokens"]},
    {"name": "OpenAI responses", "fields": ["input_tokens", "output_tokens", "input_tokens_details"],
     "total_tokens": ["input_tokens", "output_tokens"],
     "input_tokens": ["input_tokens"],
     "cached_tokens": ["input_tokens_details.cached_tokens"],
     "written_tokens": ["input_tokens_details.cache_write_tokens"],
     "output_tokens": ["output_tokens"],
     "reasoning_tokens": ["output_tokens_details.reasoning_tokens"]},
    {"name": "Anthropic messages", "fields": ["input_tokens", "output_tokens"],
     "total_tokens": ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"],
     "input_tokens": ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"],
     "cached_tokens": ["cache_read_input_tokens"],
     "written_tokens": ["cache_creation_input_tokens"],
     "output_tokens": ["output_tokens"],
     "reasoning_tokens": ["output_tokens_details.thinking_tokens"]},
    {"name": "Gemini generateContent", "fields": ["promptTokenCount"],
     "total_tokens": ["promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"],
     "input_tokens": ["promptTokenCount", "toolUsePromptTokenCount"],
     "cached_tokens": ["cachedContentTokenCount"],
     "written_tokens": [],
     "output_tokens": ["candidatesTokenCount", "thoughtsTokenCount"],
     "reasoning_tokens": ["thoughtsTokenCount"]},
)
"""A record is of the first kind whose `fields` are all there and whose `total_tokens` add up to the total that it states.

Of the fields added up for a count, one that is absent or null counts 0.
Sources: openai_python_3_52, anthropic_python_2_11, google_genai_3_4, deepseek_sdk_rs, genai_prices_repo (xAI).
"""


class UsageError(ValueError):
    """A text that is no usage record, or one whose counts cannot be."""


@dataclass(frozen=True)
class Usage:
    """The tokens of one request.

    Attributes
    ----------
    kind : which of `KINDS` the record is
    input_tokens : the whole prompt, its cached and written parts included
    cached_tokens : of them, read from a cache
    written_tokens : of them, charged as written to a cache
    output_tokens : the whole reply, reasoning included
    reasoning_tokens : of them, reasoning, where the record tells
    """

    kind: str
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @property
    def counts(self) -> dict[str, int]:
        """The five counts by name."""
        return {name: getattr(self, name) for name in COUNTS}


def read(record: str | Mapping) -> Usage:
    """The usage in `record`: JSON text, or what it stands for; the usage alone, or the whole answer around it.

    Raises `UsageError` for what is not JSON, holds no known set of fields, or has counts that cannot be.

    >>> read('{"usage": {"input_tokens": 20, "cache_read_input_tokens": 900, "output_tokens": 150}}')
    Usage(kind='Anthropic messages', input_tokens=920, cached_tokens=900, written_tokens=0, output_tokens=150, reasoning_tokens=0)
    """
    found = _record(_parsed(record) if isinstance(record, str) else record)
    alike = [kind for kind in KINDS if all(found.get(field) is not None for field in kind["fields"])]
    if not alike:
        raise UsageError(f"No known usage record: it holds {_named(found)}. Known are {_known()}.")
    kind = next((kind for kind in alike if _adds_up(found, kind["total_tokens"])), None)
    if not kind:
        raise UsageError(f"The counts contradict each other: the total is not {' + '.join(alike[0]['total_tokens'])}.")
    usage = Usage(kind["name"], **{name: _sum(found, name, kind[name]) for name in COUNTS})
    if usage.cached_tokens + usage.written_tokens > usage.input_tokens:
        raise UsageError(f"The counts contradict each other: {usage.cached_tokens:,} cached and {usage.written_tokens:,} "
                         f"written tokens in a prompt of {usage.input_tokens:,}.")
    if usage.reasoning_tokens > usage.output_tokens:
        raise UsageError(f"The counts contradict each other: {usage.reasoning_tokens:,} reasoning tokens in an output "
                         f"of {usage.output_tokens:,}.")
    return usage


def _record(given) -> Mapping:
    """The usage in an answer, or what was given where it is no answer."""
    if not isinstance(given, Mapping):
        raise UsageError("That is JSON, but no record: it needs fields in braces, as in an API answer.")
    return next((given[name] for name in ("usage", "usageMetadata") if isinstance(given.get(name), Mapping)), given)


def _named(record: Mapping) -> str:
    """Some names of the fields of `record`."""
    names = [name for name in record if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]{0,39}", str(name))][:8]
    return ", ".join(names) or "no field that could be one"


def _known() -> str:
    return "; ".join(f"{kind['name']} ({', '.join(kind['fields'])})" for kind in KINDS)


def _adds_up(record: Mapping, paths: list[str]) -> bool:
    """True where `record` states no total, or the sum of the counts at `paths`."""
    total = next((name for name in TOTALS if record.get(name) is not None), None)
    return not total or _count(record, total) == sum(_count(record, path) for path in paths)


def _sum(record: Mapping, name: str, paths: list[str]) -> int:
    total = sum(_count(record, path) for path in paths)
    if total > LIMIT:
        raise UsageError(f"{name} is more than {LIMIT:,}: too many for one request.")
    return int(total)


def _count(record: Mapping, path: str) -> float:
    """The count at `path`, whose steps are parted by points; 0 where it is absent."""
    value = record
    for step in path.split("."):
        if not isinstance(value, Mapping):
            raise UsageError(f"{path} cannot be read: what should hold it has no fields.")
        value = value.get(step)
        if value is None:
            return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{path} is not a number.")
    if value < 0:
        raise UsageError(f"{path} is negative.")
    if value % 1 != 0:
        raise UsageError(f"{path} is not a whole number.")
    return value


# --- JSON -------------------------------------------------------------------------------------

_TOKEN = re.compile(r'([{}\[\],:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
                    r'|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)')
_SPACE = re.compile(r"[ \t\n\r]*")


def _parsed(text: str):
    place = _breaks(text)
    if place is None:
        return json.loads(text, parse_int=float)  # as in JavaScript, a number of any length is a float
    if place == len(text):
        raise UsageError("That is not JSON: it ends before it is complete.")
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    raise UsageError(f"That is not JSON from line {line}, character {column} on.")


def _breaks(text: str) -> int | None:
    """The place where `text` stops being JSON, its length where it only ends too early; None if it is JSON."""
    closers, wanted, place = [], "value", 0
    while True:
        place = _SPACE.match(text, place).end()
        if place == len(text) and wanted == "end" and not closers:
            return None
        token = _TOKEN.match(text, place)
        if not token or not (wanted := _after(token[1] or ("text" if token[2] else "other"), wanted, closers)):
            return place
        place = token.end()


def _after(kind: str, wanted: str, closers: list[str]) -> str:
    """What may follow a token of `kind` where `wanted` was wanted; nothing where it was out of place."""
    if kind in "}]":
        if not closers or closers[-1] != kind or wanted not in ("end", "first key" if kind == "}" else "first value"):
            return ""
        closers.pop()
        return "end"
    if kind == ",":
        return "" if wanted != "end" or not closers else "key" if closers[-1] == "}" else "value"
    if kind == ":":
        return "value" if wanted == "colon" else ""
    if wanted in ("key", "first key"):
        return "colon" if kind == "text" else ""
    if wanted not in ("value", "first value") or len(closers) > DEEPEST:
        return ""
    if kind in "{[":
        closers.append("}" if kind == "{" else "]")
        return "first key" if kind == "{" else "first value"
    return "end"
