"""A row of a table of runs becomes a case: a model on GPUs, an engine, and a load.

The columns are those of `data/measurements/runs.csv`; measured ones may be empty, further ones are ignored, and `recv_interval` and
`max_num_batched_tokens` may be missing: they hold what the launch script of a server sets. What a benchmark does that its columns do
not say, such as lengths drawn below the nominal ones, is read from `load` and `notes` where they state it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from math import inf, isfinite

from ..catalog import GPUS, MODELS
from ..precision import BYTES_PER_ELEMENT
from .constants import Engine
from .regimes import LARGEST_PASS, REGIMES
from .replica import Formats, Placement


class RowError(ValueError):
    """A row that cannot be read: `column` says where, the message what was given and what is needed."""

    def __init__(self, column: str, message: str):
        super().__init__(message)
        self.column = column


class Refused(ValueError):
    """A case that is well formed and that the model cannot answer: the message says why."""


@dataclass(frozen=True)
class Case:
    """One run to predict.

    Attributes
    ----------
    kind : one of `llmcost.prediction.regimes.REGIMES`
    batch : sequences, users, or for one phase those of a GPU (tokens for prefill)
    rate : requests per second; requests : how many in all
    max_sequences : of one replica at a time
    cached_share : of each prompt, found in a cache
    first_wave : share of the requests that come together at the start and wait for each other
    recv_interval : decode steps between two looks of the scheduler for new requests
    largest_pass : tokens of prompts in one pass at most
    micro_batches : parts of a batch of which one talks to other GPUs while another computes
    tpot_limit : seconds; phase : "prefill" or "decode", for one phase alone
    """

    row_id: str
    kind: str
    model: object
    gpu: object
    placement: Placement
    replicas: float
    formats: Formats
    engine: Engine
    prompt_tokens: float
    output_tokens: float
    batch: float = 1.0
    rate: float = 0.0
    requests: float = inf
    max_sequences: float = inf
    cached_share: float = 0.0
    first_wave: float = 0.1
    recv_interval: float = 1.0
    largest_pass: float = LARGEST_PASS
    micro_batches: int = 1
    tpot_limit: float = inf
    phase: str = ""

    @property
    def family(self) -> tuple[str, str, float]:
        """Model, accelerator and bytes of a weight: cases of one family have their errors in common."""
        return self.model.key, self.gpu.key, self.formats.weights


# --- reading -----------------------------------------------------------------------------------------

NEEDED = ("row_id", "kind", "hw", "n_gpus", "engine", "model", "weight_prec")
SAME_GPU = {"rtx_pro_6000": "rtx_pro_6000_server", "gh200_480gb": "gh200_96gb", "h100": "h100_sxm", "h200": "h200_sxm", "b200": "b200_sxm",
            "b300": "b300_sxm", "a100": "a100_sxm_80gb", "h100_nvl_pcie": "h100_nvl"}
WEIGHTS = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": BYTES_PER_ELEMENT["nvfp4"], "nvfp4": BYTES_PER_ELEMENT["nvfp4"],
           "mxfp4": BYTES_PER_ELEMENT["mxfp4"], "int4": BYTES_PER_ELEMENT["int4_g128"]}
CACHES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": BYTES_PER_ELEMENT["nvfp4"]}
CACHED_IN_CHAT = 0.65  # of a prompt of several turns where a run says only that prefixes were cached: read off the first tokens of such runs
DRAWN_SHORTER = 0.9  # of nominal lengths, where they are drawn between 0.8 and 1.0 of them


def case_from(row: Mapping[str, str], engines: Mapping[str, Engine], limits: Mapping[tuple[str, str], float]) -> Case:
    """The case of one row.

    Raises `RowError` for a cell that is missing or cannot be, `Refused` for a model or an accelerator that the catalog lacks.
    """
    for column in NEEDED:
        if not (row.get(column) or "").strip():
            raise RowError(column, f"{column} is empty; it is needed")
    kind = row["kind"].strip()
    if kind not in REGIMES:
        raise RowError("kind", f"kind = {kind!r}; it is one of {', '.join(REGIMES)}")
    model, gpu = _record(row["model"], MODELS, _same_models(), "model"), _record(row["hw"], GPUS, SAME_GPU, "accelerator")
    said = f"{row.get('load') or ''} {row.get('notes') or ''}"
    shorter = DRAWN_SHORTER if "mean 0.9x nominal" in said else 1.0
    n_gpus = int(_number(row, "n_gpus", 1, 100_000, whole=True))
    engine = engine_of(row, gpu, engines)
    phase = "" if kind != "disagg-phase" else "prefill" if "prefill" in said else "decode"
    if phase and not ((row.get("isl") or "").strip() and (row.get("batch_or_conc") or "").strip()):
        raise Refused("a phase without its length of prompts and its batch for each GPU: an average over a load is no state to predict")
    prompt, output = _number(row, "isl", 1, 1e7) * shorter, _number(row, "osl", 1, 1e7, default=1.0) * shorter
    given = {"batch": _load(row, kind), "rate": _rate(row, kind), "requests": _told(said, r"([\d,]+) (?:prompts|requests)\b", _requests(kind, prompt, output)),
             "max_sequences": _told(said, r"max[-_]num[-_]seqs[ =]+([\d,]+)", engine.max_sequences), "phase": phase,
             "cached_share": CACHED_IN_CHAT if "prefix caching ON, multi-turn" in said else 0.0,
             "recv_interval": _number(row, "recv_interval", 1, 1000, default=engine.recv_interval),
             "largest_pass": _number(row, "max_num_batched_tokens", 1, 1e7, default=LARGEST_PASS),
             "micro_batches": 2 if "in two microbatches" in said else 1,
             "tpot_limit": limits.get((model.key, kind), inf)}
    placement = _placement(row, n_gpus)
    formats = _formats(row, model, gpu)
    replicas = n_gpus / placement.n_gpus if placement else 0.0
    if placement and replicas < 1:
        raise RowError("tp", f"tp x dp x pp = {placement.n_gpus} GPUs for a copy, and n_gpus = {n_gpus}; a copy has no more than there are")
    return Case(row["row_id"], kind, model, gpu, placement or Placement(n_gpus), replicas or 1.0, formats, engine, prompt, output, **given)


def placements_for(n_gpus: int, n_heads: int) -> list[Placement]:
    """Tensor-parallel groups that a row may mean that does not say: the sizes that divide GPUs and heads."""
    return [Placement(size) for size in (1, 2, 4, 8) if n_gpus % size == 0 and n_heads % size == 0]


def is_placed(row: Mapping[str, str]) -> bool:
    """Whether the row says how the model is spread over GPUs."""
    return bool((row.get("tp") or "").strip())


def engine_of(row: Mapping[str, str], gpu, engines: Mapping[str, Engine]) -> Engine:
    """The generation of the engine of a row: by name, version, date and vendor of the accelerator."""
    name, version = row["engine"].lower(), re.match(r"v?(\d+)\.(\d+)", row.get("engine_version") or "")
    number = (int(version[1]), int(version[2])) if version else None
    if gpu.key.startswith("mi"):
        return engines["rocm"]
    if name.startswith("sglang"):
        return engines["sglang"]
    if name.startswith("trt"):
        old = number[0] == 0 if number and number[0] in (0, 1) else (row.get("date") or "") < "2025-09"
        return engines["tensorrt_llm_cpp" if old else "tensorrt_llm"]
    first = number < (0, 8) if number else (row.get("date") or "9") < "2025-06"
    return engines["vllm_v0" if first and name.startswith("vllm") else "vllm"]


@lru_cache(maxsize=None)
def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@cache
def _same_models() -> dict[str, str]:
    """Keys of the other names under which a model of the catalog was published."""
    return {_key(name): key for key, model in MODELS.items() for name in model.facts.get("also", ())}


def _record(name, records, same, what):
    key = _key(name)
    key = same.get(key, key)
    if key not in records:
        raise Refused(f"no {what} {name!r} in the catalog; there are {', '.join(records)}")
    return records[key]


def _number(row, column, low, high, default=None, whole=False):
    text = (row.get(column) or "").strip()
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = inf
    if not (isfinite(value) and low <= value <= high) or (whole and value != int(value)):
        raise RowError(column, f"{column} = {text!r}; it must be a {'whole ' if whole else ''}number from {low:g} to {high:g}")
    return value


def _load(row, kind):
    if kind in ("offline-max", "mlperf-offline", "mlperf-server", "mlperf-interactive", "online-rate", "online-qps"):
        return 1.0
    return _number(row, "batch_or_conc", 1, 1e9)


def _rate(row, kind):
    if kind not in ("online-rate", "online-qps"):
        return 0.0
    found = re.search(r"(?:qps=|open-loop )([\d.]+|INF)", row.get("load") or "")
    if not found:
        raise RowError("load", f"load = {row.get('load')!r}; a row of kind {kind} says its rate there, as in 'open-loop 5 req/s' or 'qps=5'")
    return 1e9 if found[1] == "INF" else float(found[1])


def _told(text, pattern, default):
    found = re.search(pattern, text)
    return float(found[1].replace(",", "")) if found else default


def _requests(kind, prompt, output):
    """Requests of an offline run that does not say: enough that the last batch does not count, fewer of long ones."""
    if kind != "offline-max":
        return 20_000.0
    return 30_000.0 if prompt + output <= 512 else 1_000.0 if prompt >= 10_000 else 3_000.0 if prompt + output <= 2_600 else 1_500.0


def _placement(row, n_gpus):
    if not is_placed(row):
        return None
    tensor, stages, experts, data = (int(_number(row, column, 1, 10_000, default=1, whole=True)) for column in ("tp", "pp", "ep", "dp"))
    return Placement(tensor, stages, data, experts)


def _formats(row, model, gpu):
    named = row["weight_prec"].strip().lower()
    if named not in WEIGHTS:
        raise RowError("weight_prec", f"weight_prec = {named!r}; it is one of {', '.join(WEIGHTS)}")
    weights, narrow = WEIGHTS[named], WEIGHTS[named] < 1
    cache = (row.get("kv_prec") or "").strip().lower() or ("fp8" if named in ("fp8", "fp4", "nvfp4") else "bf16")
    if cache not in CACHES:
        raise RowError("kv_prec", f"kv_prec = {cache!r}; it is one of {', '.join(CACHES)}")
    common = 2.0 if narrow and model.n_experts > 1 else weights  # checkpoints of mixtures in 4 bits keep the rest in 16
    bits = 16 if named == "int4" else 4 if "fp4" in named and named != "mxfp4" else 8
    return Formats(weights, common, CACHES[cache], bits if "peak_flops_fp4" in gpu.facts or not narrow else 16)
