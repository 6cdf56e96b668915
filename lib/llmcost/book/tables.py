"""Tables printed from data: facts with their sources, the notation, conclusions that can flip."""

import datetime
from collections.abc import Iterable, Sequence

from .. import faces, layers, prices, takeaways
from ..catalog import ASSUMPTIONS, FABRICS, GPUS, MODELS
from ..formats import format_value
from ..notation import NOTATION
from ..precision import FORMATS
from .frontend import Markup, escape


def table(header: Sequence[str], rows: Iterable[Sequence], caption: str = "", numbers: Sequence[int] = ()) -> Markup:
    """An HTML table; the columns in `numbers` are set as figures. Cells are text, or `Markup` for HTML."""
    def cell(tag: str, i: int, content) -> str:
        shown = content._repr_html_() if isinstance(content, Markup) else escape(content)
        return f'<{tag}{" class=" + chr(34) + "number" + chr(34) if i in numbers else ""}>{shown}</{tag}>'

    head = "".join(f'<th scope="col"{" class=" + chr(34) + "number" + chr(34) if i in numbers else ""}>{escape(name)}</th>'
                   for i, name in enumerate(header))
    body = "".join(f"<tr>{''.join(cell('td', i, content) for i, content in enumerate(row))}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(f'<div class="book-table" tabindex="0" role="region" aria-label="{escape(caption or header[0])}">'
                  f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def inline(markup: str) -> Markup:
    """HTML for one cell of a table."""
    return Markup(markup)


class MarkdownTable:
    """A table as Markdown, whose cells may hold mathematics between dollar signs."""

    def __init__(self, header: Sequence[str], rows: Iterable[Sequence[str]]):
        lines = [header, ["---"] * len(header), *rows]
        self._markdown = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

    def _repr_markdown_(self) -> str:
        return self._markdown

    def __repr__(self) -> str:
        return ""


def notation_table() -> MarkdownTable:
    """Symbol, name, meaning, unit and range of each parameter of the formulas."""
    rows = [(f"${row.symbol}$", f"`{name}`", row.label, "" if row.unit == "1" else row.unit,
             "from a formula" if name in faces.formulas() else f"{_end(row.low)} to {_end(row.high)}")
            for name, row in NOTATION.items()]
    return MarkdownTable(("Symbol", "Name in code", "Meaning", "Unit", "Range in practice"), rows)


def _end(value: float) -> str:
    """One end of a range: grouped up to a million, then as a power of ten."""
    return f"{value:,.10g}" if abs(value) < 1e6 else f"{value:g}"


def formulas_table() -> MarkdownTable:
    """Every formula: its name, its equation and the unit of its result."""
    rows = [(f"`{name}`", f"${faces.latex(formula)}$", faces.units(formula)["return"].replace("1", ""))
            for name, formula in faces.formulas().items()]
    return MarkdownTable(("Formula", "Equation", "Unit"), rows)


def models_table() -> Markup:
    """Every model of the catalog with its shapes, its parameter count and its source."""
    rows = []
    for model in MODELS.values():
        kinds = inline("".join(f'<span class="shapes">{group["n"]} layers: {escape(layers.words(group))}</span>'
                               for group in model.layers))
        source = model.source_of("layers")
        printed = model.published_params + "".join(f", with {what}" for what in model.facts.get("published_counts_too", []))
        if "published_active_params" in model.facts:
            without = model.facts.get("published_active_leaves_out", [])
            printed += f"; {model.published_active_params} active" + (f" without {' and '.join(without)}" if without else "")
        rows.append((model.name, kinds, f"{model.d_model:,}", f"{model.n_heads}", f"{model.n_params:,}",
                     f"{model.n_active_params:,}", printed, _cite(source), _age(source.date)))
    return table(("Model", "Layers", "Width", "Query heads", "Parameters, computed", "Active per token",
                  "Published", "Source and place", "Retrieved"), rows, "Models", numbers=(2, 3, 4, 5, 6))


def gpus_table() -> Markup:
    """Every accelerator of the catalog: dense peaks, memory as marketed and as the driver reports, bandwidth, link, power."""
    shown = lambda gpu, name, unit: format_value(gpu.facts[name], unit) if name in gpu.facts else "–"
    rows = []
    for gpu in GPUS.values():
        source, driver = gpu.source_of("memory_bandwidth"), gpu.source_of("memory_bytes")
        peak = [shown(gpu, f"peak_flops_{name}", "flop/second") for name in ("bf16", "fp8", "fp4")]
        rows.append((gpu.name, *peak, format_value(gpu.memory_marketing_bytes, "byte"), f"{gpu.memory_bytes:,}",
                     format_value(gpu.memory_bandwidth, "byte/second"),
                     shown(gpu, "link_bandwidth_per_direction", "byte/second"),
                     f"{gpu.power_w:,} W" if "power_w" in gpu.facts else "–",
                     inline(f"{_cite(source)._repr_html_()}<br>{'assumed' if driver.kind == 'assumed' else 'driver'}: "
                            f"{_cite(driver)._repr_html_()}"), _age(source.date)))
    return table(("Accelerator", "BF16 dense", "FP8 dense", "FP4 dense", "Memory, marketed", "Memory, bytes the driver reports",
                  "Bandwidth", "Link, each way", "Power", "Source and place", "Retrieved"), rows, "Accelerators",
                 numbers=(1, 2, 3, 4, 5, 6, 7, 8))


def fabrics_table() -> Markup:
    """Every fabric over which GPUs reach other experts: bandwidth of one GPU, the shares that are reached, GPUs behind one copy."""
    rows = [(fabric.name, format_value(fabric.exchange_bandwidth, "byte/second"), format_value(fabric.exchange_efficiency, "fraction"),
             format_value(fabric.bulk_exchange_efficiency, "fraction"), f"{fabric.gpus_per_node}", _cite(fabric.source_of("exchange_efficiency")),
             _age(fabric.source_of("exchange_efficiency").date)) for fabric in FABRICS.values()]
    return table(("Fabric", "One GPU sends", "Reached in short passes", "In large ones", "GPUs that share a copy", "Source and place of the share",
                  "Retrieved"), rows, "Fabrics", numbers=(1, 2, 3, 4))


def formats_table() -> Markup:
    """Every number format: bits of an element, what shares a scale, bytes of an element in all."""
    rows = [(name, f"{form.element_bits:g}", f"{form.group_elements:,}" if form.scale_bytes else "–",
             f"{form.scale_bytes:g}" if form.scale_bytes else "–", f"{form.bytes_per_element:.6g}")
            for name, form in FORMATS.items()]
    return table(("Format", "Bits of an element", "Elements with one scale", "Bytes of the scale", "Bytes of an element, in all"),
                 rows, "Number formats", numbers=(1, 2, 3, 4))


def prices_table(*vendors: str) -> Markup:
    """Every dated price of the APIs of `vendors`, the newest of each model first; dollars for a million tokens."""
    def money(price, part, offered):
        return f"{price.facts[part] * prices.PER_MILLION:.4g}" if offered in price.offers else "–"

    rows = []
    for history in prices.price_history().values():
        for price in reversed(history) if history[0].vendor in vendors else ():
            source = price.source_of("input_price")
            tier = f"from {price.tier_tokens:,}: {money(price, 'tier_input_price', 'tier_input')} and " \
                   f"{money(price, 'tier_output_price', 'tier_output')}" if "tier_tokens" in price.offers else "–"
            rows.append((price.vendor, price.model, f"{price.start} to {price.end or 'now'}", money(price, "input_price", "input"),
                         money(price, "cached_price", "cached_input"), money(price, "write_price", "cache_write"),
                         money(price, "output_price", "output"),
                         f"× {price.batch_multiplier:g}" if "batch_multiplier" in price.offers else "–", tier, _cite(source), _age(source.date)))
    return table(("Vendor", "Model", "Known to hold", "Input", "Cached input", "Cache write", "Output", "Batch",
                  "Long prompts: input and output", "Source and place", "Seen"), rows,
                 f"Prices of {', '.join(vendors)}: dollars for a million tokens; a dash is a part that the list does not price", numbers=(3, 4, 5, 6))


def rents_table() -> Markup:
    """Every dated rent of an accelerator, dollars for an hour."""
    rows = [(GPUS[rent.gpu].name, str(rent.date), f"{rent.low * prices.PER_HOUR:.2f}" if rent.low == rent.high else
             f"{rent.low * prices.PER_HOUR:.2f} to {rent.high * prices.PER_HOUR:.2f}", rent.kind, rent.quality, rent.note, _cite(rent.source))
            for rent in sorted(prices.rents(), key=lambda rent: (list(GPUS).index(rent.gpu), rent.date))]
    return table(("Accelerator", "Date", "Dollars for an hour", "Kind", "Quality", "Note", "Source and place"), rows,
                 "Rents of one accelerator", numbers=(2,))


def assumptions_table() -> Markup:
    """Every assumption: value, range and reason."""
    rows = [(NOTATION[key].label, format_value(a.value, NOTATION[key].unit),
             f"{format_value(a.low, NOTATION[key].unit)} to {format_value(a.high, NOTATION[key].unit)}", a.why,
             _cite(a.source)) for key, a in ASSUMPTIONS.items()]
    return table(("What", "Value", "Range", "Why", "Source and place"), rows, "Assumptions", numbers=(1, 2))


def flip_points(chapter: str) -> Markup:
    """The conclusions of `chapter` that can turn over: what is compared, both numbers today, and how far the first is from the second."""
    rows = []
    for found in map(takeaways.evaluate, takeaways.load(chapter)):
        one = found.takeaway
        number = lambda value: f"{value:,.4g} {one.unit}".strip()
        told = one.statement if found.standing == "holds" else one.flipped
        rows.append((told, number(found.value), f"{'above' if found.value < found.threshold else 'below'} {number(found.threshold)}",
                     f"{'×' if found.distance > 1 else '÷'} {max(found.distance, 1 / found.distance):,.3g}"))
    return table(("Conclusion, as the facts of this build have it", "Today", "It flips", "Distance"), rows, "Where this flips", numbers=(1, 2, 3))


def _cite(source) -> Markup:
    return inline(f'<span class="source">{escape(source.source)}: {escape(source.where)}</span>')


def _age(date: datetime.date) -> Markup:
    """A retrieval date, which the build flags when it is too old on the day of the build."""
    return inline(f'<time class="retrieved" datetime="{date}">{date}</time>')
