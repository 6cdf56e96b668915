"""Numbers as text. Base units go in; only here do they become GB, ms or thousands.

The live controls have a twin of `format_value` in JavaScript; a test holds the two equal.
"""

import math
from decimal import ROUND_HALF_UP, Decimal

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"

_DECIMAL = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]
_BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]
_SMALL = ["", "m", "\N{MICRO SIGN}", "n"]
_SCALED = {"byte": "B", "byte/token": "B/token", "byte/second": "B/s", "byte/element": "B/element",
           "byte/parameter": "B/parameter", "flop": "FLOP", "flop/second": "FLOP/s",
           "watt": "W", "joule": "J", "joule/token": "J/token"}
_COUNTED = {"1": "", "token": "token", "sequence": "sequence", "head": "head", "layer": "layer"}
_PLAIN = {"token/second": "tokens/s", "request/second": "requests/s", "flop/byte": "FLOP/byte"}
_LARGE = {"trillion": 1e12, "billion": 1e9, "million": 1e6}
PRICED = {"usd/token": ("1e6", " per M tokens"), "usd/second": ("3600", "/h"), "usd/joule": ("3.6e6", "/kWh"),
          "usd/byte": ("1e15", " per PB"), "usd/flop": ("1e18", " per EFLOP")}
"""Unit of a price -> what it is multiplied by where people read it, as Python writes it, and the words after it."""


def format_value(value: float, unit: str, binary: bool = False) -> str:
    """`value`, given in the base unit `unit`, as a reader wants to see it.

    Three significant digits; whole counts below ten million keep all of theirs.
    `binary` counts bytes in KiB, MiB, GiB instead of kB, MB, GB.
    Raises `ValueError` for a unit it does not know.

    >>> format_value(327_680, "byte/token"), format_value(42_949_672_960, "byte", binary=True)
    ('328 kB/token', '40.0 GiB')
    >>> format_value(430_626, "token"), format_value(0.0421, "second"), format_value(0.883, "fraction")
    ('430,626 tokens', '42.1 ms', '88.3 %')
    >>> format_value(87_072.4, "usd"), format_value(5.576e6, "usd")
    ('$87,072', '$5.58 million')
    >>> format_value(3e-6, "usd/token"), format_value(2.5 / 3600, "usd/second")
    ('$3.00 per M tokens', '$2.50/h')
    >>> format_value(0.373, "joule/token"), format_value(0.18 / 3.6e6, "usd/joule")
    ('0.373 J/token', '$0.180/kWh')
    """
    value = float(value)
    if not math.isfinite(value):
        return DASH
    if value < 0:
        return MINUS + format_value(-value, unit, binary)
    if unit in _SCALED:
        is_binary = binary and unit.startswith("byte")
        return _scaled(value, _SCALED[unit], _BINARY if is_binary else _DECIMAL, 1024 if is_binary else 1000)
    if unit in _COUNTED:
        return _counted(value, _COUNTED[unit])
    if unit == "second":
        return _seconds(value)
    if unit == "fraction":
        return f"{_digits(value * 100)} %"
    if unit in _PLAIN:
        return f"{_digits(value)} {_PLAIN[unit]}"
    if unit == "usd":
        return f"${_money(value)}"
    if unit in PRICED:
        scale, words = PRICED[unit]
        return f"${_money(value * float(scale))}{words}"
    known = ", ".join([*_SCALED, *_COUNTED, "second", "fraction", *_PLAIN, "usd", *PRICED])
    raise ValueError(f"no format for the unit {unit!r}; the units with a format are {known}")


def three_digits(value: float) -> Decimal:
    """`value` rounded half up to three significant digits, as JavaScript's toPrecision rounds."""
    exact = Decimal(value)
    step = Decimal(1).scaleb(exact.adjusted() - 2)
    return exact.quantize(step, rounding=ROUND_HALF_UP)


def _rounded(value: float) -> Decimal:
    """`value` to three significant digits; from a thousand on to the whole number."""
    if value == 0:
        return Decimal(0)
    rounded = three_digits(value)
    if rounded >= 1000:
        return Decimal(int(value) if value >= 2**52 else int(value + 0.5))  # no float above 2**52 has a fraction
    return three_digits(float(rounded))  # 9.996 rounds to 10.00: one digit too many


def _digits(value: float) -> str:
    return f"{_rounded(value):,f}"


def _scaled(value: float, suffix: str, prefixes: list[str], base: int) -> str:
    if value == 0:
        return f"0 {suffix}"
    power = 0
    while power + 1 < len(prefixes) and _rounded(value / base**power) >= base:
        power += 1
    scaled = value / base**power
    text = str(int(scaled)) if power == 0 and scaled == int(scaled) else _digits(scaled)
    return f"{text} {prefixes[power]}{suffix}"


def _counted(value: float, word: str) -> str:
    text = _count(value)
    if not word:
        return text
    return f"{text} {word}" if value == 1 else f"{text} {word}s"


def _count(value: float) -> str:
    if value >= 1e7:
        return _scaled(value, "", _DECIMAL, 1000)
    if value == int(value):
        return f"{int(value):,}"
    return _digits(value)


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    power = 0
    while power + 1 < len(_SMALL) and _rounded(value * 1000**power) < 1:
        power += 1
    return f"{_digits(value * 1000**power)} {_SMALL[power]}s"


def _money(value: float) -> str:
    if value == 0:
        return "0"
    for name, scale in _LARGE.items():
        if value >= scale:
            return f"{_digits(value / scale)} {name}"
    if value >= 10_000:
        return f"{Decimal(value).quantize(Decimal(1), rounding=ROUND_HALF_UP):,}"
    if value >= 0.995:
        return f"{Decimal(value).quantize(Decimal('0.01'), rounding=ROUND_HALF_UP):,}"
    return _digits(value)
