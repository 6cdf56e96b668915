"""Timings, for people who change the library: `./book benchmark` prints them, with ratios, since machines differ."""

import time

import numpy

from llmcost.counting import Tally
from llmcost.engine import POLICIES, Engine
from llmcost.reference_model import build, generate
from llmcost.scheduling import simulate
from llmcost.workload import Request

SHAPES = {"d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 896, "vocab_size": 1000,
          "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 64, "n": 4}]}
PROMPT, DECODE_STEPS, RUNS = 512, 64, 5


def best(function) -> float:
    """Seconds of the fastest of some runs."""
    def once():
        begun = time.perf_counter()
        function()
        return time.perf_counter() - begun

    return min(once() for _ in range(RUNS))


def scheduling():
    """Seconds to simulate 1,000 and 10,000 requests under load, 2,000 tokens in and 300 out, under each policy."""
    def step(prompt_tokens, pairs, decoding, contexts):
        return numpy.maximum(0.01 + 1e-7 * contexts, 3e-5 * (prompt_tokens + decoding) + 1e-10 * pairs)

    arrivals = numpy.cumsum(numpy.random.default_rng(0).exponential(1 / 10, 10_000))
    requests = [Request(float(arrival), 2000, 300) for arrival in arrivals]
    print("simulation of an engine: requests of 2,000 tokens in and 300 out")
    for policy in POLICIES:
        engine = Engine(policy=policy, kv_blocks=30_000)
        few, many = (best(lambda: simulate(requests[:count], engine, step)) for count in (1000, 10_000))
        print(f"{policy:<12}1,000: {few:.2f} s, 10,000: {many:.2f} s, {many / few:.1f} times as long")


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


if __name__ == "__main__":
    main()
