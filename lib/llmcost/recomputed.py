"""What a statement of a source is recomputed with where no single formula says it: facts, ledgers, services, simulations.

Each function takes the keys of catalog records and plain numbers, as a claim gives them (`given` in data/claims/),
and returns one number in base SI units. It computes nothing by itself that the library has.
"""

from collections.abc import Sequence
from functools import cache
from math import ceil, log2, prod
from statistics import median

import numpy

from . import phases
from .catalog import ASSUMED, FABRICS, GPUS, MODELS, read_csv
from .counting import Tally
from .engine import Engine
from .faces import at, formulas, leaves
from .layer_operations import Pass
from .ledger import pass_flops
from .precision import BYTES_PER_ELEMENT
from .prices import API_PRICES, newest_rent
from .records import FactError
from .reference_model import parts
from .scheduling import simulate
from .training import multiplied_params
from .workload import Request


def model_fact(model: str, name: str) -> float:
    """A number that the catalog has of a model, published or derived from its shapes.

    >>> model_fact("llama_3_1_70b", "n_layers")
    80
    """
    return MODELS[model].facts[name]


def gpu_fact(gpu: str, name: str) -> float:
    """A number that the catalog has of an accelerator.

    >>> gpu_fact("h100_sxm", "memory_bandwidth")
    3350000000000.0
    """
    return GPUS[gpu].facts[name]


@cache
def forward_flops(model: str, tokens: int, start: int = 0, sequences: int = 1, operation: str = "") -> float:
    """FLOPs of a pass over `tokens` new tokens after `start` earlier ones, all operations together or one of the ledger's by name.

    >>> forward_flops("llama_3_1_70b", tokens=2048, operation="head")
    2101346304
    """
    work = pass_flops(MODELS[model].facts, Pass(tokens=tokens, start=start), sequences)
    return work[operation] if operation else sum(work.values())


def assumption(name: str) -> float:
    """What the book assumes where nobody publishes it.

    >>> assumption("memory_utilization")
    0.9
    """
    return ASSUMED.facts[name]


def bytes_per_element(form: str) -> float:
    """Bytes of one element of a number format.

    >>> bytes_per_element("fp32")
    4
    """
    return BYTES_PER_ELEMENT[form]


def api_price(key: str, part: str, day: str) -> float:
    """USD that an API charged for a token on a day.

    >>> api_price("claude_sonnet_4_5", "output_price", "2026-02-06")
    1.5e-05
    """
    return API_PRICES[key, day].facts[part]


def thinking_multiple(source: str) -> float:
    """How many times the tokens of an answer a model writes that thinks, as one source measured it.

    >>> thinking_multiple("srivastava2025overthink")
    18.0
    """
    return float(next(row["factor"] for row in read_csv("measurements/reasoning_tokens.csv") if row["source"] == source))


def growth(formula: str, of: str, start: float, model: str = "", **given) -> float:
    """The power of `of` with which a formula grows: the logarithm to base 2 of how much more it is when `of` goes from `start` to twice that.

    >>> round(growth("attention_work.causal_pairs", of="context", start=4096), 3)
    2.0
    """
    records = [MODELS[model]] if model else []
    once, twice = (at(formulas()[formula.partition(".")[2]], *records, ASSUMED, **given, **{of: value}) for value in (start, 2 * start))
    return log2(twice / once)


def added(terms: Sequence[str], per: float = 1, **given) -> float:
    """Several formulas added up, each with what it needs of `given`, for each one of `per`.

    >>> added(["transformer.mlp_params", "transformer.mlp_params"], per=10, d_model=10, d_ff=20)
    120.0
    """
    functions = [formulas()[term.partition(".")[2]] for term in terms]
    return sum(at(function, **{name: given[name] for name in leaves(function) if name in given}) for function in functions) / per


def passes(phase: str, prompt_tokens: int, output_tokens: int) -> float:
    """Forward passes of one phase, "prefill" or "decode", that an engine makes for one request alone.

    >>> passes("prefill", prompt_tokens=1000, output_tokens=1000), passes("decode", prompt_tokens=1000, output_tokens=1000)
    (1, 999)
    """
    alone = simulate([Request(0, prompt_tokens, output_tokens)], Engine(), lambda prompt, pairs, sequences, contexts: numpy.ones_like(contexts), record=True)
    return sum(steps for _, _, new, _, steps, _ in alone.timeline if (new > 0) == (phase == "prefill"))


# --- published numbers, and sums ------------------------------------------------------------------------------

def fabric_fact(fabric: str, name: str) -> float:
    """A number that the catalog has of a network between GPUs.

    >>> fabric_fact("infiniband_400", "exchange_bandwidth")
    50000000000.0
    """
    return FABRICS[fabric].facts[name]


def measured(table: str, column: str = "value", **row: str) -> float:
    """The number in `column` of the one row of data/measurements/ that has these cells. Raises `FactError` unless one has.

    >>> measured("deepseek_day", name="day_output_tokens")
    168000000000.0
    """
    found = [one for one in read_csv(f"measurements/{table}.csv") if all(one.get(name) == str(cell) for name, cell in row.items())]
    if len(found) != 1:
        raise FactError(f"data/measurements/{table}.csv has {len(found)} rows with {row}; name cells that one row has")
    return float(found[0][column])


def rmb_price(key: str, day: str, column: str) -> float:
    """What an API charged for a token on a day, in RMB: a column of data/prices/api_rmb.csv.

    >>> rmb_price("deepseek_reasoner", "2025-07-15", "rmb_per_output_token")
    1.6e-05
    """
    found = [row for row in read_csv("prices/api_rmb.csv") if row["key"] == key and row["from"] <= day <= (row["to"] or day)]
    if len(found) != 1:
        raise FactError(f"data/prices/api_rmb.csv has {len(found)} prices of {key} on {day}; it needs one")
    return float(found[0][column])


def gpu_rent(gpu: str) -> float:
    """The lowest rent of an accelerator on demand, in USD per second, on the newest day that the project has one of.

    >>> gpu_rent("h100_sxm") < 10 / 3600
    True
    """
    return newest_rent(gpu).low


def sum_of_products(terms: list) -> float:
    """Arithmetic that a source states and that is no formula of anything: each term is a list of factors.

    >>> sum_of_products([[18, 0.8], [2, 7]])
    28.4
    """
    return sum(prod(factors) for factors in terms)


def score_lost(weight_format: str, activation_format: str) -> float:
    """Median share of the MMLU score of 16 bits that published models lose in a format: data/measurements/quantization_quality.csv.

    >>> score_lost("fp8", "fp8") < 0.01
    True
    """
    rows = [row for row in read_csv("measurements/quantization_quality.csv") if row["benchmark"].startswith("MMLU")
            and row["weight_format"].startswith(weight_format) and row["activation_format"] == activation_format]
    return median(1 - float(row["value"]) / float(row["baseline_value"]) for row in rows)


def service_over_training(days: float) -> float:
    """What DeepSeek's service costs in days like the published one, over what it says that the training of V3 cost.

    >>> round(service_over_training(365), 1)
    5.7
    """
    trained = measured("training_runs", "published_usd", name="DeepSeek-V3", stage="all")
    return days * measured("deepseek_day", name="day_cost_usd") / trained


def trace_mean(trace: str, column: str) -> float:
    """Mean of a column of a published trace.

    >>> round(trace_mean("azure_2023_conversation", "GeneratedTokens"))
    260
    """
    values = [float(row[column]) for row in read_csv(f"traces/{trace}.csv")]
    return sum(values) / len(values)


# --- a model over GPUs --------------------------------------------------------------------------------------------

def params_met(model: str, n_gpus: int = 1) -> float:
    """Parameters that a token is multiplied with, for each of the GPUs that share them.

    >>> round(params_met("deepseek_v3", 8) / 1e9, 1)
    4.6
    """
    facts = MODELS[model].facts
    return multiplied_params(facts["n_active_params"], facts["n_lookup_params"]) / n_gpus


def expert_visits(model: str) -> int:
    """Routed experts that a token visits on its way through all layers.

    >>> expert_visits("deepseek_v3")
    464
    """
    facts = MODELS[model].facts
    return facts["n_active_experts"] * (facts["n_layers"] - facts["n_dense_layers"])


def experts_batch(model: str, tokens: float) -> float:
    """Batch in which each routed expert of a layer gets so many tokens, choices uniform.

    >>> experts_batch("deepseek_v3", 256)
    8192.0
    """
    return tokens * MODELS[model].facts["n_experts"] / MODELS[model].facts["n_active_experts"]


def stage_layers(model: str, n_stages: int) -> int:
    """Layers of the fullest stage of a pipeline.

    >>> stage_layers("deepseek_v3", 8)
    8
    """
    return ceil(MODELS[model].facts["n_layers"] / n_stages)


def measured_prefill_mfu(row: str) -> float:
    """Share of the peak FLOP/s that one measured prefill of data/measurements/phases.csv used.

    >>> round(measured_prefill_mfu("trt_llama_2_7b_a100_sxm_80gbx1_2048_first_b1"), 3)
    0.669
    """
    found = next(line for line in read_csv("measurements/phases.csv") if line["row_id"] == row)
    gpu = GPUS[found["gpu"]].computing_in(found["weight_format"].replace("fp16", "bf16"))
    return at(phases.prefill_mfu, MODELS[found["model"]], gpu, prompts=int(found["batch"]), prompt_tokens=int(found["input_tokens"]),
              n_gpus=int(found["n_gpus"]), prefill_seconds=float(found["ttft_s"]))


def counted(part: str, elements: int, per: float = 1) -> float:
    """FLOPs of a function of `llmcost.reference_model.parts` on so many elements, counted as it runs, for each one of `per`.

    >>> counted("silu", elements=1)
    4.0
    """
    tally = Tally()
    getattr(parts, part)(tally.watch(numpy.ones(elements)))
    return sum(tally.flops.values()) / per
