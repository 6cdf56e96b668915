"""What a prediction rests on besides data sheets: twelve constants, and what an engine's generation adds.

They live in `data/prediction.toml`, each with its meaning, unit, plausible range and the measurement in which its term is visible alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Constants:
    """The physical constants; the same for every model, every accelerator and every engine.

    Attributes
    ----------
    bandwidth_share : share of the memory bandwidth that reading weights and caches reaches
    gemm_share_16, gemm_share_8, gemm_share_4 : share of the dense peak that products with weights of so many bits reach
    attention_share : share of the BF16 peak that attention over a prompt, and MLA, reaches
    grouped_share : products with experts over products with one matrix
    pair_bytes : bytes that sorting tokens by expert, quantizing and adding up moves for each token, expert and element of its width
    kernel_seconds : time of one kernel in a CUDA graph besides bytes and FLOPs
    launch_seconds : time in which Python starts one kernel, where there is no graph
    all_reduce_seconds : time of an all-reduce besides its bytes, waiting for the last GPU included
    link_share : share of the bandwidth of a link, one direction
    host_seconds : time of the host for each sequence in each step
    """

    bandwidth_share: float
    gemm_share_16: float
    gemm_share_8: float
    gemm_share_4: float
    attention_share: float
    grouped_share: float
    pair_bytes: float
    kernel_seconds: float
    launch_seconds: float
    all_reduce_seconds: float
    link_share: float
    host_seconds: float

    @classmethod
    def from_table(cls, table: Mapping[str, Mapping]) -> "Constants":
        """The constants from records with a `value`."""
        return cls(**{field.name: float(table[field.name]["value"]) for field in fields(cls)})


@dataclass(frozen=True)
class Engine:
    """One generation of an engine on one vendor's stack.

    Attributes
    ----------
    name : as in `data/prediction.toml`
    factor : its time over that of the constants; the only number that is fitted for it
    host : multiple of `Constants.host_seconds`: 0 where the loop runs in C++, 1 where it runs in Python beside the GPU
    host_blocks : further multiple for each block of a sequence's cache, where Python lists all blocks anew in each step
    launches : 1 where Python starts the kernels of a prefill, else 0
    first_steps : decode steps until a client sees the first token of a prompt that is done
    recv_interval : decode steps between two looks of the scheduler for new requests, where a run does not say
    memory_share : of the memory, what the engine takes for weights and cache
    reserve_bytes : of that, what it keeps for itself
    whole_replies : whether a sequence reserves its whole reply when it starts, or half of it on average
    max_sequences : sequences at a time, where nothing else is said
    """

    name: str
    factor: float
    host: float
    launches: float
    first_steps: float
    memory_share: float
    reserve_bytes: float
    whole_replies: bool
    max_sequences: int
    host_blocks: float = 0.0
    recv_interval: float = 1.0
