"""An inference engine as its limits: what fits into a step, what fits into memory, and who goes first."""

from dataclasses import dataclass
from math import inf

from .workload import TraceError, check_counts

POLICIES = ("static", "continuous", "chunked")


@dataclass(frozen=True)
class Engine:
    """Limits of an engine, and its policy.

    Attributes
    ----------
    max_sequences : requests in the batch at most
    max_batched_tokens : tokens in one step at most
    kv_blocks : blocks of the paged cache
    block_tokens : tokens of one block
    policy : one of `POLICIES`
    prefix_capacity : tokens that the prefix cache holds; 0 is none
    prefix_ttl : seconds after its last use until a prefix is forgotten
    """

    max_sequences: int = 256
    max_batched_tokens: int = 8192
    kv_blocks: int = 20_000
    block_tokens: int = 16
    policy: str = "chunked"
    prefix_capacity: float = 0
    prefix_ttl: float = inf


def check_engine(engine: Engine) -> None:
    """Raise `TraceError` unless the limits make sense."""
    if engine.policy not in POLICIES:
        raise TraceError(f"policy = {engine.policy!r}; it is one of {', '.join(POLICIES)}")
    check_counts(**{name: getattr(engine, name) for name in ("max_sequences", "max_batched_tokens", "kv_blocks", "block_tokens")})
    if not engine.prefix_capacity >= 0 or not engine.prefix_ttl >= 0:
        raise TraceError(f"prefix cache with capacity {engine.prefix_capacity} and TTL {engine.prefix_ttl}; both must be 0 "
                         f"or more")
