"""Services and simulated runs that statements of sources are recomputed with.

As in `llmcost.recomputed`, each function takes the keys of catalog records and plain numbers, and returns one number in base SI units.
The form of the weights is "bf16", "fp8" or "int4", with products in FP8 for the second and in BF16 for the others; caches are BF16.
"""

from functools import cache

from numpy import nanmean

from . import arrivals
from .catalog import ASSUMED, FABRICS, GPUS, MODELS
from .engine import Engine
from .expert_serving import ExpertService
from .layouts import Layout, problems
from .precision import BYTES_PER_ELEMENT
from .scheduling import simulate
from .serving import CapacityError, Service
from .step_costs import StepCosts


def largest_group(model: str, n_gpus: int) -> int:
    """GPUs, of so many, that can form one tensor-parallel group for a model: the largest number over which it divides.

    >>> largest_group("llama_3_1_70b", 10), largest_group("llama_3_1_70b", 3)
    (8, 2)
    """
    return max(size for size in range(1, n_gpus + 1) if not problems(Layout(tensor=size), MODELS[model]))


@cache
def _service(model: str, gpu: str, n_gpus: int, form: str) -> Service:
    width, peak = {"bf16": (2, "bf16"), "fp8": (1, "fp8"), "int4": (BYTES_PER_ELEMENT["int4_g128"], "bf16")}[form]
    return Service(MODELS[model], GPUS[gpu].computing_in(peak), ASSUMED, Layout(tensor=n_gpus), weight_bytes_per_param=width)


def places(model: str, gpu: str, n_gpus: int, context: int, form: str = "bf16") -> int:
    """Sequences of `context` tokens that a tensor-parallel group has room for.

    >>> places("llama_3_1_70b", "h100_sxm", 4, 4608)
    101
    """
    return _service(model, gpu, n_gpus, form).largest_batch(context)


def smallest_group(model: str, gpu: str, sequences: int, context: int, form: str = "bf16") -> int:
    """GPUs of the smallest tensor-parallel group of 1, 2, 4 or 8 with room for so many sequences.

    >>> smallest_group("llama_3_1_70b", "h100_sxm", sequences=25, context=4608)
    4
    """
    def fits(size):
        try:
            return places(model, gpu, size, context, form) >= sequences
        except CapacityError:
            return False
    return next(size for size in (1, 2, 4, 8) if fits(size))


def user_speed(model: str, gpu: str, n_gpus: int, batch: int, context: int, form: str = "bf16") -> float:
    """Tokens each second that a user sees in a batch, with all-reduces and the fixed time of a step.

    >>> round(user_speed("deepseek_v3", "h200_sxm", 8, batch=1, context=1500, form="fp8"))
    227
    """
    return 1 / _service(model, gpu, n_gpus, form).step(batch, context)["step"]


def batch_under_load(model: str, gpu: str, n_gpus: int, rate: float, prompt_tokens: int, output_tokens: int, form: str = "bf16") -> float:
    """Mean batch of a group under so many requests each second.

    >>> round(batch_under_load("llama_3_1_70b", "h100_sxm", 4, rate=1, prompt_tokens=4096, output_tokens=512))
    14
    """
    return float(_service(model, gpu, n_gpus, form).under_load(rate, prompt_tokens, output_tokens).batch)


@cache
def simulated(what: str, model: str, gpu: str, n_gpus: int, requests: int, at_once: int, prompt_tokens: int, output_tokens: int,
              form: str = "bf16", policy: str = "chunked", lengths: str = "fixed") -> float:
    """A simulated run of so many equal requests, `at_once` of them at a time: "seconds" of it, GPU-seconds of one request ("each"),
    or the mean seconds of a request ("stay"). With `lengths` "geometric", replies have `output_tokens` on average.

    >>> round(simulated("seconds", "llama_3_1_70b", "h100_sxm", 4, requests=1000, at_once=100, prompt_tokens=4096, output_tokens=512))
    416
    """
    service = _service(model, gpu, n_gpus, form)
    engine = Engine(policy=policy, max_sequences=at_once if policy == "static" else 256, kv_blocks=service.kv_blocks())
    outputs = {"fixed": arrivals.fixed, "geometric": arrivals.geometric}[lengths](output_tokens)
    run = simulate(arrivals.closed_loop(at_once, requests // at_once, arrivals.fixed(prompt_tokens), outputs), engine, StepCosts(service))
    return {"seconds": run.makespan, "each": n_gpus * run.makespan / requests, "stay": float(nanmean(run.end - run.arrival))}[what]


def gpu_time_saved(form: str, n_gpus: int, than_gpus: int, **run) -> float:
    """Share of the GPU time that a form of weights saves against BF16 on `than_gpus`, for one simulated `run` as in `simulated`.

    >>> round(gpu_time_saved("fp8", 2, 4, model="llama_3_1_70b", gpu="h100_sxm", requests=1000, at_once=100, prompt_tokens=4096, output_tokens=512), 2)
    0.33
    """
    return 1 - simulated("each", n_gpus=n_gpus, form=form, **run) / simulated("each", n_gpus=than_gpus, **run)


@cache
def _spread(model: str, gpu: str, group: int, experts: int, copies: int) -> ExpertService:
    return ExpertService(MODELS[model], GPUS[gpu].computing_in("fp8"), ASSUMED, Layout(tensor=group, experts=experts, redundant_experts=copies),
                         weight_bytes_per_param=1, max_sequences=4096, fabric=FABRICS["infiniband_400"])


def spread_places(model: str, gpu: str, group: int, experts: int, copies: int, context: int) -> int:
    """Sequences that fit where experts are spread over GPUs, in groups that share attention, weights in FP8.

    >>> spread_places("deepseek_v3", "h800_sxm", group=1, experts=144, copies=32, context=4989)
    21024
    """
    return _spread(model, gpu, group, experts, copies).largest_batch(context)


def spread_pass(part: str, model: str, gpu: str, group: int, experts: int, copies: int, batch: int, context: int) -> float:
    """Seconds of a decode pass of the same, or of one part of it, such as "exchange".

    >>> spread_pass("exchange", "deepseek_v3", "h200_sxm", group=4, experts=320, copies=64, batch=100_000, context=1500) > 0.07
    True
    """
    return float(_spread(model, gpu, group, experts, copies).one_pass(batch, context)[part])
