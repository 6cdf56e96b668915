"""What the conclusions of chapters compare, where no single formula says it: each function returns one number in base SI units.

`data/takeaways.toml` names them. They take keys of catalog records and plain numbers, and every fact behind them is dated,
so that a new price or specification moves the number, and `llmcost.takeaways` says what that turns over.
"""

from functools import cache

import numpy

from . import arrivals, bills, energy, engine_steps, ownership, phases, quantization, roofline, training
from .catalog import ASSUMED, FABRICS, GPUS, MODELS, read_csv
from .engine import Engine
from .expert_serving import ExpertService
from .faces import at, leaves
from .layouts import Layout, LayoutError
from .prediction import constants, engines
from .prediction.estimating import errors
from .prediction.fitting import runs_of
from .prices import API_PRICES, newest_rent
from .scheduling import simulate
from .serving import CapacityError, Service
from .step_costs import StepCosts
from .workload import Request

BF16 = {"weight_bytes_per_param": 2, "kv_bytes_per_element": 2}


def service(model: str, gpu: str, n_gpus: int) -> Service:
    """`model` in BF16 on one group of GPUs with the assumed engine."""
    return Service(MODELS[model], GPUS[gpu].computing_in("bf16"), ASSUMED, Layout(tensor=n_gpus))


# --- prices ---------------------------------------------------------------------------------------------------

def output_part_of_bill(price: str, turns: int, instruction_tokens: int, question_tokens: int, answer_tokens: int) -> float:
    """Share of output in the bill of a conversation without a cache, at the price in force."""
    talk = {"turns": turns, "instruction_tokens": instruction_tokens, "question_tokens": question_tokens, "answer_tokens": answer_tokens}
    card = API_PRICES[price]
    return at(bills.conversation_output_usd, card, turns=turns, answer_tokens=answer_tokens) / at(bills.conversation_usd, card, **talk)


def output_price_ratio(price: str) -> float:
    """What an output token costs in input tokens, at the price in force."""
    return API_PRICES[price].output_price / API_PRICES[price].input_price


def host_output_price(model: str) -> float:
    """What a host of an open model charges for an output token, by the newest price list, the lowest of its day."""
    rows = [row for row in read_csv("prices/open_model_hosts.csv") if row["model"] == model]
    newest = max(row["seen"] for row in rows)
    return min(float(row["usd_per_million_output"]) for row in rows if row["seen"] == newest) / 1e6


@cache
def own_output_price(model: str, gpu: str, n_gpus: int, prompt_tokens: int, output_tokens: int, ttft_limit: float, tpot_limit: float) -> float:
    """Rent for one output token of one's own service at the largest rate within two limits, every hour as busy, prompts included."""
    rate = service(model, gpu, n_gpus).largest_rate(prompt_tokens, output_tokens, ttft_limit=ttft_limit, tpot_limit=tpot_limit)
    return n_gpus * newest_rent(gpu).low / (rate * output_tokens)


def published_day(name: str) -> float:
    """A number of the day that DeepSeek published."""
    return next(float(row["value"]) for row in read_csv("measurements/deepseek_day.csv") if row["name"] == name)


def day_paid_share(price: str, gpu: str) -> float:
    """Share of the tokens of DeepSeek's published day that has to be paid for at `price`, in force, to cover the newest rent of its GPUs."""
    card = API_PRICES[price]
    hits, tokens = published_day("day_cache_hit_tokens"), published_day("day_input_tokens")
    income = hits * card.cached_price + (tokens - hits) * card.input_price + published_day("day_output_tokens") * card.output_price
    return published_day("mean_nodes") * published_day("gpus_per_node") * published_day("day_seconds") * newest_rent(gpu).low / income


# --- phases, batches, groups -----------------------------------------------------------------------------------

def output_over_input_alone(model: str, gpu: str, n_gpus: int, prompt_tokens: int, output_tokens: int) -> float:
    """GPU time of an output token over that of an input token for a lone user."""
    known, chip = {"n_gpus": n_gpus, "batch": 1, "prompts": 1, **BF16, "state_bytes_per_element": ASSUMED.state_bytes_per_element}, GPUS[gpu].computing_in("bf16")
    context = phases.mean_context(prompt_tokens=prompt_tokens, output_tokens=output_tokens)
    return (at(phases.output_token_gpu_seconds, MODELS[model], chip, known, context=context)
            / at(phases.input_token_gpu_seconds, MODELS[model], chip, known, prompt_tokens=prompt_tokens))


@cache
def continuous_over_static(model: str, gpu: str, prompt_tokens: int, output_tokens: int, spread: float, requests: int) -> float:
    """Tokens that chunked prefill writes over those of static batches: all requests wait from the start, replies lognormal with `spread`."""
    served = service(model, gpu, 1)
    draw = numpy.random.default_rng([0, 7])
    lengths = zip(arrivals.lognormal(prompt_tokens, 0.5)(draw, requests), arrivals.lognormal(output_tokens, spread)(draw, requests))
    load, costs = [Request(0.0, int(prompt), int(reply)) for prompt, reply in lengths], StepCosts(served, max_tokens=65_536)
    ends = {}
    for policy, budget in (("static", 32_768), ("chunked", 512)):
        ends[policy] = simulate(load, Engine(policy=policy, max_sequences=128, max_batched_tokens=budget, kv_blocks=served.kv_blocks()), costs).makespan
    return ends["static"] / ends["chunked"]


def one_group_over_two(model: str, gpu: str, n_gpus: int, batch: int, context: int) -> float:
    """Step of one group of all GPUs with `batch` sequences over that of two groups with half of the GPUs and of the sequences each."""
    return float(service(model, gpu, n_gpus).step(batch, context)["step"] / service(model, gpu, n_gpus // 2).step(batch // 2, context)["step"])


def fewer_bits_lose_from(model: str, gpu: str, n_gpus: int, context: int) -> float:
    """Sequences from which weights in INT4 with products in BF16 are slower than both in FP8; kernels as assumed, caches in FP8."""
    known = {"n_gpus": n_gpus, "context": context, "batch": 1, "kv_bytes_per_element": 1}
    takes = lambda formula, products, **given: at(formula, MODELS[model], GPUS[gpu].computing_in(products), ASSUMED,
                                                  **{name: value for name, value in {**known, **given}.items() if name in leaves(formula)})
    return quantization.slower_from_batch(takes(engine_steps.weight_step_seconds, "fp8", weight_bytes_per_param=1),
                                          takes(quantization.sequence_reading_seconds, "bf16"), takes(quantization.token_computing_seconds, "bf16"))


# --- many experts, predictions ----------------------------------------------------------------------------------

def exchange_over_work(model: str, gpu: str, fabric: str, expert_gpus: int, redundant_experts: int, batch: int, context: int) -> float:
    """Time of dispatch and combine over that of all other work in a decode step, two micro-batches, `batch` sequences on each GPU."""
    unit = ExpertService(MODELS[model], GPUS[gpu].computing_in("fp8"), ASSUMED, Layout(experts=expert_gpus, redundant_experts=redundant_experts),
                         weight_bytes_per_param=1, fabric=FABRICS[fabric], micro_batches=2)
    parts = unit.one_pass(batch * expert_gpus, context)
    return float(parts["exchange"] / sum(parts[name] for name in ("weights", "state", "computing", "fixed")))


@cache
def median_error(quantity: str) -> float:
    """Median relative error of predictions, over all public runs that state the quantity ("output_rate", "tpot" or "ttft")."""
    runs = runs_of(read_csv("measurements/runs.csv"), engines())
    return float(numpy.median([abs(numpy.expm1(error)) for _, name, error in errors(runs, constants(), engines()) if name == quantity]))


# --- training, and one's own machine ------------------------------------------------------------------------------

def days_of_serving_as_dear(model_name: str, day_tokens: float, training_utilization: float, serving_utilization: float) -> float:
    """Days until serving `day_tokens` a day has taken the GPU time of the published training run of a model."""
    run = next(row for row in read_csv("measurements/training_runs.csv") if row["name"] == model_name)
    return training.break_even_days(training.break_even_tokens(1, float(run["training_tokens"]), training_utilization, serving_utilization), day_tokens)


def measured_seats() -> float:
    """Sequences from which a decode step of the measured small server computes longer than it reads, weights of eight bytes."""
    measured = {row["quantity"]: float(row["value"]) for row in read_csv("measurements/own_machine.csv") if not row["batch"]}
    return roofline.seats(weight_bytes_per_param=8, ridge_point=measured["peak_flops"] / measured["memory_bandwidth"])


# --- choosing hardware -----------------------------------------------------------------------------------------

@cache
def rent_over_other(model: str, gpu: str, other: str, speed: float, prompt_tokens: int, output_tokens: int) -> float:
    """Rent of an output token, prompts included, on one chip over that on another, each at its newest rent and on its best layout that gives
    every user `speed` tokens a second; weights and products in FP8.
    """
    def least(key):
        found = []
        for n_gpus in (1, 2, 4, 8):
            try:
                line = Service(MODELS[model], GPUS[key].computing_in("fp8"), ASSUMED, Layout(tensor=n_gpus), weight_bytes_per_param=1).frontier(prompt_tokens, output_tokens)
            except (CapacityError, LayoutError):
                continue
            found.extend(1 / line["gpu"][line["user"] >= speed])
        return newest_rent(key).low * float(min(found, default=numpy.inf))
    return least(gpu) / least(other)


def desk_token_usd(row_id: str, idle_watts: float, used_share: float, life_years: float, interest_rate: float) -> float:
    """What a token costs on a small machine that was measured: its newest price over its years, and electricity for American homes."""
    row = next(row for row in read_csv("measurements/edge_decode.csv") if row["row_id"] == row_id)
    bought = max((one for one in read_csv("prices/purchase.csv") if one["gpu"] == row["gpu"] and one["what"] == "whole machine"), key=lambda one: one["date"])
    home = next(float(one["per_kwh"]) for one in read_csv("prices/electricity.csv") if one["key"] == "us_home") / 3.6e6
    kept = ownership.kept_rent(ownership.capital_rent(float(bought["usd_low"]), ownership.recovery_factor(interest_rate, life_years), 365 * 86_400), 0, idle_watts, 1, home)
    used = ownership.used_rent(energy.drawn_watts(float(row["wall_watts"]), 1, 0), idle_watts, 1, home)
    return ownership.levelized_usd(ownership.owned_rent(kept, used, used_share), used_share, float(row["tokens_per_second"]))
