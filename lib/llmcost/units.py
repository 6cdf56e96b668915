"""Units as annotations.

Every number inside the library is in base units: bytes, seconds, FLOP, joules, USD.
Only text is scaled (`llmcost.formats`).
Tokens, sequences, heads, layers, elements and floating-point operations are counts: they carry no
dimension, so a unit check sees a byte where a second belongs, never a head where a layer belongs.
"""

from typing import Annotated

Count = Annotated[float, "1"]
Tokens = Annotated[float, "token"]
Sequences = Annotated[float, "sequence"]
Fraction = Annotated[float, "fraction"]
Bytes = Annotated[float, "byte"]
BytesPerElement = Annotated[float, "byte/element"]
BytesPerParam = Annotated[float, "byte/parameter"]
BytesPerToken = Annotated[float, "byte/token"]
BytesPerSecond = Annotated[float, "byte/second"]
Flop = Annotated[float, "flop"]
FlopPerSecond = Annotated[float, "flop/second"]
FlopPerByte = Annotated[float, "flop/byte"]
Seconds = Annotated[float, "second"]
Usd = Annotated[float, "usd"]
UsdPerToken = Annotated[float, "usd/token"]
UsdPerSecond = Annotated[float, "usd/second"]
TokensPerSecond = Annotated[float, "token/second"]
RequestsPerSecond = Annotated[float, "request/second"]
Watts = Annotated[float, "watt"]
Joules = Annotated[float, "joule"]
JoulesPerToken = Annotated[float, "joule/token"]
UsdPerJoule = Annotated[float, "usd/joule"]
UsdPerByte = Annotated[float, "usd/byte"]
UsdPerFlop = Annotated[float, "usd/flop"]
