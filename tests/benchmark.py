"""Timings, for people who change the library: `./book benchmark` prints them, with ratios, since machines differ."""

import csv
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy

from llmcost import load, phases
from llmcost.catalog import ASSUMED, GPUS, MODELS, read_csv
from llmcost.counting import Tally
from llmcost.engine import POLICIES, Engine
from llmcost.layouts import Layout
from llmcost.prediction import constants, engines, predict
from llmcost.prediction.estimating import errors
from llmcost.prediction.fitting import runs_of
from llmcost.reference_model import build, generate
from llmcost.scheduling import simulate
from llmcost.serving import Service
from llmcost.step_costs import StepCosts
from llmcost.workload import Request

SHAPES = {"d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 896, "vocab_size": 1000,
          "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 64, "n": 4}]}
PROMPT, DECODE_STEPS, RUNS = 512, 64, 5


def best(function, runs=RUNS) -> float:
    """Seconds of the fastest of some runs."""
    def once():
        begun = time.perf_counter()
        function()
        return time.perf_counter() - begun

    return min(once() for _ in range(runs))


def scheduling():
    """Seconds to simulate ever more requests under load, 2,000 tokens in and 300 out, under each policy."""
    def step(prompt_tokens, pairs, decoding, contexts):
        return numpy.maximum(0.01 + 1e-7 * contexts, 3e-5 * (prompt_tokens + decoding) + 1e-10 * pairs)

    arrivals = numpy.cumsum(numpy.random.default_rng(0).exponential(1 / 10, 100_000))
    requests = [Request(float(arrival), 2000, 300) for arrival in arrivals]
    print("simulation of an engine: requests of 2,000 tokens in and 300 out")
    for policy in POLICIES:
        engine = Engine(policy=policy, kv_blocks=30_000)
        times = [best(lambda: simulate(requests[:count], engine, step), runs) for count, runs in ((1000, 5), (10_000, 3), (100_000, 1))]
        print(f"{policy:<12}1,000: {times[0]:.2f} s, 10,000: {times[1]:.2f} s, 100,000: {times[2]:.1f} s; "
              f"{times[1] / times[0]:.1f} and {times[2] / times[0]:.0f} times as long")


def serving():
    """Seconds of a million evaluations of a service at once: steps by part, and a request under a load in closed form."""
    service = Service(MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16"), ASSUMED, Layout(tensor=4))
    rng = numpy.random.default_rng(0)
    batches, outputs = rng.integers(1, 200, 10**6), rng.integers(2, 1000, 10**6)
    contexts, rates, costs = phases.mean_context(2000, outputs), rng.uniform(0.01, 2, 10**6), StepCosts(service)

    def under_load():
        prompt = service.prefill_seconds(2000)
        one, two = (service.step(batch, 2150)["step"] for batch in (1, 2))
        work = load.request_work_seconds(outputs, two - one, prompt)
        alone = load.lone_request_seconds(outputs, 2 * one - two, work)
        stay = load.loaded_request_seconds(alone, load.load_share(rates, work))
        return load.loaded_batch(rates, stay), load.loaded_tpot(stay, prompt, outputs)

    print("a service of 4 GPUs, many evaluations at once")
    for name, evaluate in (("a million steps by part", lambda: service.step(batches, contexts)), ("a million requests under a load", under_load),
                           ("ten thousand loads of a chain of batches", lambda: [
                               service.under_load(rates[i:i + 1000] / 10, 2000, 300).tpot for i in range(0, 10_000, 1000)]),
                           ("a million steps as a simulation asks for them", lambda: costs(0, 0, 64, 64 * contexts))):
        print(f"{name:<50}{best(evaluate, 3):>8.2f} s")


def predictions():
    """Predictions in a second: of the public runs, from their rows and from the cases that these become."""
    rows, known = read_csv("measurements/runs.csv"), engines()
    runs = runs_of(rows, known)
    from_rows, from_cases = best(lambda: [predict(row) for row in rows]), best(lambda: errors(runs, constants(), known))
    print("predictions of public runs")
    print(f"{'from rows':<50}{len(rows) / from_rows:>8,.0f} in a second")
    print(f"{'from cases':<50}{len(runs) / from_cases:>8,.0f} in a second")


ROOT = Path(__file__).parents[1]
OWN = {"copy_bandwidth": "byte/second", "memory_bandwidth": "byte/second", "thin_bandwidth": "byte/second", "peak_flops": "flop/second",
       "product_flops": "flop/second", "layer_overhead_seconds": "second", "looped_step_seconds": "second",
       "decode_step_seconds": "second", "prefill_seconds": "second"}


def your_machine(rounds=1, write=False):
    """The measurement of the chapter `your_machine`, by its own cells, with its ratios; `write` makes it the committed one."""
    notebook = json.loads((ROOT / "chapters" / "your_machine.ipynb").read_text("utf-8"))
    chapter = {}
    for cell in notebook["cells"]:
        if "measuring" in cell["metadata"].get("tags", ()):
            exec("".join(cell["source"]), chapter)
    found = chapter["measured"](runs=3)
    for _ in range(rounds - 1):  # another program may have been busy during one round
        found = {key: (min if OWN[key[0]] == "second" else max)(value, found[key]) for key, value in chapter["measured"](runs=3).items()}
    print("your machine: the small decoder, predicted from three numbers, and run")
    for (name, *setting), value in found.items():
        if not any(setting):
            print(f"{name:<26}{value:>10.3g} {OWN[name]}")
    for (name, batch, context, prompt), predicted, run in chapter["compared"](found):
        print(f"{name:<22}batch {batch:>2}, context {context:>4}, prompt {prompt:>3}: predicted {1e3 * predicted:>7.1f} ms, "
              f"measured {1e3 * run:>7.1f} ms, ratio {run / predicted:.2f}")
    for words, predicted, run in chapter["trends"](found):
        print(f"{words:<30}predicted {predicted:>5.2f}, measured {run:>5.2f}, {'right' if (predicted > 1) == (run > 1) else 'wrong'} sign")
    if write:
        keep_own(found)


def keep_own(found):
    """Write data/measurements/own_machine.csv."""
    library = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    blas = "OpenBLAS" if "openblas" in library else library
    threads = os.environ.get("OPENBLAS_NUM_THREADS")
    cores = f"{threads} of {os.cpu_count()} cores" if threads else f"{os.cpu_count()} cores"
    provenance = {"machine": f"{cores}, {platform.machine().replace('_', '-')}, NumPy {numpy.__version__} with {blas}, float64", "kind": "measured",
                  "quality": "primary", "split": "shown", "source": "own_measurement", "where": "python tests/benchmark.py your_machine --csv",
                  "date": datetime.date.today().isoformat()}
    with (ROOT / "data" / "measurements" / "own_machine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["quantity", "batch", "context", "prompt_tokens", "value", "unit", *provenance], lineterminator="\n")
        writer.writeheader()
        for (quantity, *setting), value in found.items():
            places = dict(zip(("batch", "context", "prompt_tokens"), (number or "" for number in setting)))
            writer.writerow({"quantity": quantity, **places, "value": f"{value:.4g}", "unit": OWN[quantity], **provenance})


def main():
    decoder, prompt = build(SHAPES), numpy.random.default_rng(0).integers(0, 1000, (1, PROMPT))
    tally = Tally()
    watched = tally.watch(decoder)
    plain, counted = (best(lambda: generate(model, prompt, DECODE_STEPS + 1)) for model in (decoder, watched))
    flops = sum(tally.flops.values()) / RUNS
    a = numpy.random.default_rng(0).standard_normal((1024, 1024))
    product = 2 * 1024**3 / best(lambda: a @ a)
    print(f"reference model, 4 layers of width 256: prefill of {PROMPT} tokens and {DECODE_STEPS} decode steps\n"
          f"{'as it is':<34}{plain:>8.2f} s\n{'every operation counted':<34}{counted:>8.2f} s{counted / plain:>8.1f} times as long\n"
          f"{'FLOPs':<34}{flops / 1e9:>8.2f} G{flops / plain / product:>8.1%} of what one large product reaches here")
    scheduling()
    serving()
    predictions()
    your_machine()


if __name__ == "__main__":
    your_machine(rounds=4, write="--csv" in sys.argv) if "your_machine" in sys.argv else main()
