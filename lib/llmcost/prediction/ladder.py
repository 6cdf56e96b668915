"""From a napkin to a prediction, one step at a time: what each term adds, and how far off one may stop.

Each rung adds one term to those before it. The first is what anyone can compute from a data sheet; the last is `predict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

from .cases import Case, case_from, is_placed
from .constants import Constants, Engine
from .model import constants, engines, time_limits
from .regimes import REGIMES, Outcome
from .replica import Replica

RUNGS = ("weights and 2 FLOPs for each parameter, at the peaks of the data sheet", "caches", "attention FLOPs", "what kernels reach of the peaks",
         "talk between GPUs", "kernels, one by one", "sorting tokens by expert", "the host", "the engine")
"""What each rung adds."""
IDEAL = Constants(bandwidth_share=1, gemm_share_16=1, gemm_share_8=1, gemm_share_4=1, attention_share=1, grouped_share=1, pair_bytes=0,
                  kernel_seconds=0, launch_seconds=0, all_reduce_seconds=0, link_share=inf, host_seconds=0)
"""Data sheets and nothing else: full bandwidth and full speed, links without end, and no kernel takes time to start."""


class _Napkin(Replica):
    """A replica that reads no caches and computes no attention, where it is told so."""

    def __init__(self, *given, caches: bool, attention: bool):
        self._with_caches, self._with_attention = caches, attention
        super().__init__(*given)

    def _attend(self, decoding, context):
        return super()._attend(decoding, context) if self._with_caches else 0.0

    def prompt_flops(self, prompt_tokens):
        """FLOPs of attention of one prompt, or none."""
        return super().prompt_flops(prompt_tokens) if self._with_attention else 0.0


@dataclass(frozen=True)
class Rung:
    """One rung: what it adds, and what is predicted with it and those before."""

    adds: str
    outcome: Outcome


def ladder(row: Mapping[str, str]) -> list[Rung]:
    """The rungs for one row that says how the model is placed.

    Raises `RowError` and `Refused` as `predict` does, and `ValueError` for a row without tp.
    """
    if not is_placed(row):
        raise ValueError("tp is empty; a ladder needs to know how the model is placed")
    case = case_from(row, engines(), time_limits())
    chosen, built = constants(), case.engine
    plain = replace(built, factor=1.0, host=0.0, host_blocks=0.0, launches=0.0, first_steps=1.5)
    steps = [(IDEAL, plain, False, False), (IDEAL, plain, True, False), (IDEAL, plain, True, True)]
    now = IDEAL
    for names in (("bandwidth_share", "gemm_share_16", "gemm_share_8", "gemm_share_4", "attention_share", "grouped_share"),
                  ("link_share", "all_reduce_seconds"), ("kernel_seconds",), ("pair_bytes",)):
        now = replace(now, **{name: getattr(chosen, name) for name in names})
        steps.append((now, plain, True, True))
    steps += [(chosen, replace(built, factor=1.0), True, True), (chosen, built, True, True)]
    return [Rung(adds, REGIMES[case.kind](replace(case, engine=engine), _replica(case, some, engine, caches, attention)))
            for adds, (some, engine, caches, attention) in zip(RUNGS, steps, strict=True)]


@lru_cache(maxsize=1024)
def _replica(case: Case, some: Constants, engine: Engine, caches: bool, attention: bool) -> Replica:
    return _Napkin(case.model, case.gpu, case.placement, case.formats, some, engine, caches=caches, attention=attention)
