"""Measure a CUDA GPU: copies, products by precision and size, decode-shaped products, attention. Needs PyTorch and a GPU.

    python -m llmcost.measure_cuda measured.csv h100_sxm

The second word is the key of the GPU in `data/accelerators.toml`, so that the file can be kept below `data/measurements/`.
Each row of the file is one kernel: what it is, its format and size, its time, and the bytes and FLOPs each second that follow
from it, with the device, its driver, PyTorch and its CUDA, and the day. Times are the shortest of several replays of a CUDA
graph, so that no launch from the host is in them. Each kernel takes its operands in turn from several copies, more in all than the
caches hold, so that they come from memory. A kernel for which the memory is too small is left out.
"""

import csv
import datetime
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

COLUMNS = ("kernel", "format", "m", "n", "k", "seconds", "bytes_per_second", "flops_per_second", "gpu", "device", "driver", "torch", "cuda", "date",
           "source", "where")
PRODUCTS = [(m, n, k) for n, k in ((8192, 8192), (28_672, 8192), (8192, 28_672)) for m in (1, 8, 64, 256, 1024, 4096)]
SMALLEST = (1, 128, 128)
CONTEXTS, PROMPTS = (1024, 8192, 65_536), (1024, 4096, 16_384)
HEADS, KV_HEADS, WIDTH = 64, 8, 128
RUNS, INSIDE = 20, 10
BEYOND_CACHE, MOST_COPIES = 4 * 50 * 10**6, 128
"""Bytes of operands that leave nothing in the cache for the next turn, four times that of an H100; and copies of them at most."""


class NoGpu(RuntimeError):
    """There is nothing to measure: the message says what is missing."""


def load():
    """PyTorch with a CUDA device.

    Raises `NoGpu` when either is missing.
    """
    try:
        import torch
    except ImportError:
        raise NoGpu("PyTorch is not installed; install the build for your CUDA version, as its site says, and run this again") from None
    if not torch.cuda.is_available():
        raise NoGpu("PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver")
    return torch


def seconds_of(torch, functions: Sequence[Callable]) -> float:
    """Shortest time of one call of `functions`, which take turns, many of them captured in a CUDA graph."""
    calls = [*functions] * -(-INSIDE // len(functions))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for function in calls:
            function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for function in calls:
            function()
    best = float("inf")
    for _ in range(RUNS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        best = min(best, begin.elapsed_time(end) / 1e3 / len(calls))
    return best


def rows(torch) -> Iterator[dict]:
    """Every measurement, one at a time; a kernel that does not fit the memory has none."""
    for kernel, form, m, n, k, draw, moved, flops in chain(_copies(torch), _products(torch), _attention(torch)):
        try:
            seconds = seconds_of(torch, [draw() for _ in range(copies_of(moved))])
        except torch.cuda.OutOfMemoryError:
            print(f"left out, out of memory: {kernel} {form} {m} {n} {k}", file=sys.stderr)
            seconds = None
        torch.cuda.empty_cache()
        if seconds:
            yield _row(kernel, form, m, n, k, seconds, moved, flops)


def copies_of(moved: int) -> int:
    """Copies of operands of `moved` bytes that together are more than the caches hold.

    >>> copies_of(4 * 10**6), copies_of(10**9)
    (50, 1)
    """
    return min(-(-BEYOND_CACHE // moved), MOST_COPIES)


def _row(kernel, form, m, n, k, seconds, moved, flops):
    return {"kernel": kernel, "format": form, "m": m, "n": n, "k": k, "seconds": f"{seconds:.6g}",
            "bytes_per_second": f"{moved / seconds:.6g}", "flops_per_second": f"{flops / seconds:.6g}" if flops else ""}


def _copies(torch):
    def draw(size):
        source = torch.empty(size, dtype=torch.uint8, device="cuda")
        target = torch.empty_like(source)
        return lambda: target.copy_(source)

    for size in (2**20, 2**26, 2**30):
        yield "copy", "bytes", size, "", "", partial(draw, size), 2 * size, 0


def _products(torch):
    """Products of [m, k] and [k, n]; those in FP8 where this GPU and this PyTorch have them."""
    for form in ("bf16", "fp16", "fp8"):
        if form == "fp8" and (not hasattr(torch, "_scaled_mm") or torch.cuda.get_device_capability() < (8, 9)):
            continue
        width = 1 if form == "fp8" else 2
        for m, n, k in [SMALLEST, *PRODUCTS]:
            yield "product", form, m, n, k, partial(_product, torch, form, m, n, k), width * (m * k + n * k) + 2 * m * n, 2 * m * n * k


def _product(torch, form, m, n, k):
    """A product with operands of its own, as a function."""
    if form != "fp8":
        left, right = (torch.randn(shape, dtype=getattr(torch, {"bf16": "bfloat16", "fp16": "float16"}[form]), device="cuda")
                       for shape in ((m, k), (k, n)))
        return lambda: left @ right
    rounded = -(-m // 16) * 16  # rows come in sixteens there
    left = torch.randn((rounded, k), device="cuda").to(torch.float8_e4m3fn)
    right = torch.randn((n, k), device="cuda").to(torch.float8_e4m3fn).t()
    one = torch.ones((), device="cuda")
    return lambda: torch._scaled_mm(left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)


def _attention(torch):
    """One token over a cached context, for one sequence and for many; and a causal prompt."""
    def draw(batch, tokens, context, causal):
        query, key, value = (torch.randn((batch, heads, length, WIDTH), dtype=torch.bfloat16, device="cuda")
                             for heads, length in ((HEADS, tokens), (KV_HEADS, context), (KV_HEADS, context)))
        return lambda: torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True)

    for context in CONTEXTS:
        for batch in (1, 2**20 // context):
            yield ("decode attention", "bf16", batch, context, WIDTH, partial(draw, batch, 1, context, False),
                   2 * 2 * batch * KV_HEADS * context * WIDTH, 4 * batch * HEADS * context * WIDTH)
    for prompt in PROMPTS:
        yield ("prefill attention", "bf16", 1, prompt, WIDTH, partial(draw, 1, prompt, prompt, True),
               2 * (2 * HEADS + 2 * KV_HEADS) * prompt * WIDTH, 2 * HEADS * prompt * (prompt + 1) * WIDTH)


def driver_version() -> str:
    """Version of the NVIDIA driver; empty where `nvidia-smi` does not say."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True,
                              timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(said.split()), "")


def write(found, file: Path, **provenance: str) -> None:
    """Put the rows `found` into `file`, whole or not at all, each with its provenance."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | provenance for row in found)
    part = file.with_name(file.name + ".part")
    part.write_text(text.getvalue(), encoding="utf-8")
    os.replace(part, file)


def main(arguments: list[str]) -> int:
    """The command; the exit status is 0 when the file is there."""
    if len(arguments) != 2:
        print("usage: python -m llmcost.measure_cuda FILE.csv GPU", file=sys.stderr)
        return 2
    try:
        torch = load()
        write(rows(torch), Path(arguments[0]), gpu=arguments[1], device=torch.cuda.get_device_name(), driver=driver_version(),
              torch=torch.__version__, cuda=torch.version.cuda, date=datetime.date.today().isoformat(), source="own_measurement",
              where="python -m llmcost.measure_cuda, shortest of its replays")
    except NoGpu as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
