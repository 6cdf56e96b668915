"""Number formats: how many bytes one element takes, its share of the scales counted in.

A block format gives a group of elements one scale. `FORMATS` states each part; the sizes are computed.
Sources: OCP Microscaling Formats 1.0 (MXFP4, MXFP8), NVIDIA's NVFP4 and the checkpoints that use these formats.
"""

from dataclasses import dataclass

from .elementwise import ceil, real
from .units import Bytes, BytesPerElement, Count


def stored_bytes_per_element(element_bits: Count, scale_bytes: Bytes, group_elements: Count) -> BytesPerElement:
    """Bytes of one stored element, with its share of the scale of its group.

    >>> stored_bytes_per_element(element_bits=4, scale_bytes=1, group_elements=32)
    0.53125
    """
    return element_bits / 8 + scale_bytes / group_elements


def quantized_bytes(inner: Count, columns: Count, element_bits: Count, group_rows: Count, group_columns: Count,
                    scale_bytes: Bytes, tensor_scale_bytes: Bytes) -> Bytes:
    """Bytes of a quantized matrix [inner, columns]: codes packed, a scale for each group, one more for the whole where there is one.

    The last group of a row or a column may be smaller; it has a scale all the same.

    >>> quantized_bytes(inner=200, columns=10, element_bits=4, group_rows=128, group_columns=1, scale_bytes=2,
    ...                 tensor_scale_bytes=0)
    1040
    """
    groups = ceil(real(inner) / group_rows) * ceil(real(columns) / group_columns)
    return ceil(real(inner) * columns * element_bits / 8) + groups * scale_bytes + tensor_scale_bytes


@dataclass(frozen=True)
class Format:
    """A number format.

    Attributes
    ----------
    element_bits : bits of one element
    group_elements : elements that share a scale; 1 where there is none, or one for a whole tensor
    scale_bytes : bytes of the scale of one group, and of its zero point where it has one
    """

    element_bits: float
    group_elements: int = 1
    scale_bytes: float = 0

    @property
    def bytes_per_element(self) -> float:
        """Bytes of one element with its share of the scale."""
        size = stored_bytes_per_element(self.element_bits, self.scale_bytes, self.group_elements)
        return int(size) if size == int(size) else size


FORMATS: dict[str, Format] = {
    "fp32": Format(32),
    "bf16": Format(16),
    "fp16": Format(16),
    "fp8": Format(8),
    "int8": Format(8),
    "int4": Format(4),
    "fp8_block": Format(8, 128 * 128, 4),
    "mxfp8": Format(8, 32, 1),
    "int4_g128": Format(4, 128, 2),
    "int4_g32": Format(4, 32, 2),
    "mxfp4": Format(4, 32, 1),
    "nvfp4": Format(4, 16, 1),
}
"""Formats by name. "fp8", "int8" and "int4" carry one scale for a tensor, or none: it is too small to count."""

BYTES_PER_ELEMENT: dict[str, float] = {name: form.bytes_per_element for name, form in FORMATS.items()}
"""Bytes of one element by format name, scales counted."""
