"""Measuring a machine: the figures are those of the work that was done, in the time that it took."""

import csv
import sys
import time
import types

import numpy
import pytest

from llmcost import engine_steps, measure_cuda, measuring
from llmcost.faces import at
from llmcost.reference_model import build

SHAPES = {"d_model": 32, "n_layers": 2, "n_heads": 2, "d_ff": 64, "vocab_size": 50,
          "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 16, "n": 2}]}


@pytest.fixture
def clock(monkeypatch):
    """A clock that counts a second for each look at it."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(measuring, "READ_BYTES", 2**20)


def test_each_figure_is_its_work_over_its_time(clock):
    assert measuring.copy_bandwidth() == 2 * 2**20  # read and written
    assert measuring.reading_bandwidth(numpy.float32, columns=512) == 2**20 == measuring.reading_bandwidth(columns=512, rows=4)
    assert measuring.product_flops(10, 20, 30) == 2 * 10 * 20 * 30


def test_a_machine_has_what_the_formulas_take(clock):
    machine = measuring.machine(layer_overhead_seconds=1e-3)
    assert at(engine_steps.fixed_step_seconds, machine, n_layers=4) == pytest.approx(4e-3)
    assert {"memory_bandwidth", "thin_bandwidth", "peak_flops", "copy_bandwidth"} <= set(machine.facts) and "cores" in machine.name


def test_the_best_of_several_runs_counts(monkeypatch):
    took = iter([0, 5, 10, 12, 20, 29])
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(took)))
    assert measuring.best_seconds(lambda: None, runs=3) == 2


def test_a_narrow_decoder_gives_the_time_of_a_layer():
    decoder = build(SHAPES)
    cache = decoder.empty_cache(1)
    measured = measuring.layer_overhead(lambda: decoder.forward([[1]], cache), n_layers=2, runs=3)
    assert 0 < measured < 1 and cache.length == 3


# --- a CUDA GPU ---------------------------------------------------------------------------------------------

def test_without_a_gpu_nothing_is_written_and_it_says_why(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert measure_cuda.main([str(tmp_path / "out.csv"), "h100_sxm"]) == 1 and not list(tmp_path.iterdir())
    assert "PyTorch is not installed" in capsys.readouterr().err
    without = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", without)
    assert measure_cuda.main([str(tmp_path / "out.csv"), "h100_sxm"]) == 1 and "no CUDA device" in capsys.readouterr().err
    assert measure_cuda.main([]) == 2


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    row = measure_cuda._row("product", "bf16", 1, 8192, 8192, 1e-4, 134e6, 134e6)
    measure_cuda.write([row], tmp_path / "out.csv", gpu="h100_sxm", device="a GPU", driver="580.1", torch="2.9", cuda="13.0", date="2026-11-21",
                       source="own_measurement", where="here")
    got = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert tuple(got[0]) == measure_cuda.COLUMNS and float(got[0]["bytes_per_second"]) == 1.34e12

    def breaks():
        yield row
        raise RuntimeError("the GPU fell off the bus")

    before = (tmp_path / "out.csv").read_text()
    with pytest.raises(RuntimeError):
        measure_cuda.write(breaks(), tmp_path / "out.csv", gpu="", device="a GPU", driver="", torch="", cuda="", date="", source="", where="")
    assert (tmp_path / "out.csv").read_text() == before and len(list(tmp_path.iterdir())) == 1


class Operand:
    """An array of a GPU that is not there: only its shape matters."""

    def __init__(self, *shape, **_):
        self.shape = shape

    def to(self, form):
        return self

    def t(self):
        return Operand(*self.shape[::-1])

    def copy_(self, other):
        return self

    def __matmul__(self, other):
        assert self.shape[1] == other.shape[0]
        return Operand(self.shape[0], other.shape[1])


class OutOfMemory(RuntimeError):
    """The memory of that GPU is full."""


@pytest.fixture
def gpu():
    """PyTorch with a GPU, as far as the measurement asks for it."""
    def attend(query, key, value, is_causal, enable_gqa):
        if query.shape[2] == 16_384:
            raise OutOfMemory
        return query

    def drawn(shape, **given):
        return Operand(*shape)

    return types.SimpleNamespace(
        uint8=1, bfloat16=2, float16=2, float8_e4m3fn=1, empty=Operand, empty_like=lambda one: Operand(*one.shape), randn=drawn, ones=drawn,
        _scaled_mm=lambda left, right, **given: left @ right,
        nn=types.SimpleNamespace(functional=types.SimpleNamespace(scaled_dot_product_attention=attend)),
        cuda=types.SimpleNamespace(OutOfMemoryError=OutOfMemory, empty_cache=lambda: None, get_device_capability=lambda: (9, 0)))


def test_kernels_take_turns_on_operands_that_no_cache_holds(gpu, monkeypatch, capsys):
    turns = []

    def seconds_of(torch, functions):
        for function in functions:
            function()
        turns.append(len(functions))
        return 1e-3

    monkeypatch.setattr(measure_cuda, "seconds_of", seconds_of)
    got = list(measure_cuda.rows(gpu))
    assert len(got) == len(turns) == 3 + 3 * (1 + len(measure_cuda.PRODUCTS)) + 6 + 2
    assert {row["kernel"] for row in got} == {"copy", "product", "decode attention", "prefill attention"}
    for row, copies in zip(got, turns):
        moved = float(row["bytes_per_second"]) * 1e-3
        smallest = (row["m"], row["n"], row["k"]) == measure_cuda.SMALLEST and copies == measure_cuda.MOST_COPIES
        assert smallest or copies * moved >= 4 * 50e6 * (1 - 1e-5)
    assert "left out, out of memory: prefill attention bf16 1 16384" in capsys.readouterr().err
    fp8 = [row for row in got if row["format"] == "fp8" and row["m"] == 4096]
    assert float(fp8[0]["flops_per_second"]) == pytest.approx(2 * 4096 * 8192 * 8192 * 1e3, rel=1e-5)


def test_the_driver_is_what_nvidia_smi_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert measure_cuda.driver_version() == ""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 580.65.06\necho 580.65.06\n", encoding="utf-8")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert measure_cuda.driver_version() == "580.65.06"
