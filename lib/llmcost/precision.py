"""Number formats: how many bytes one element takes, scales not counted."""

BYTES_PER_ELEMENT: dict[str, float] = {
    "fp32": 4,
    "bf16": 2,
    "fp16": 2,
    "fp8": 1,
    "int8": 1,
    "int4": 0.5,
}
"""Bytes of one element by format name, from the bits in the name. Scales come on top."""
