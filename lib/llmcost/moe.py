"""Mixtures of experts: which parameters exist, which one token uses, which a batch touches."""

from .elementwise import maximum, minimum, real
from .units import Count, Fraction, Sequences, Tokens


def expert_params(d_model: Count, d_expert: Count) -> Count:
    """Parameters of one expert: gate, up and down projection.

    >>> expert_params(d_model=7168, d_expert=2048)
    44040192
    """
    return 3 * d_model * d_expert


def router_params(d_model: Count, n_experts: Count) -> Count:
    """Parameters of the router of one layer.

    >>> router_params(d_model=4096, n_experts=8)
    32768
    """
    return d_model * n_experts


def experts_touched(n_experts: Count, n_active_experts: Count, batch: Sequences) -> Count:
    """Expected number of experts that at least one of `batch` tokens chooses, choices uniform.

    A token leaves an expert out with probability 1 - `n_active_experts` / `n_experts`.

    >>> experts_touched(n_experts=256, n_active_experts=8, batch=1)
    8.0
    >>> round(experts_touched(n_experts=256, n_active_experts=8, batch=64))
    222
    """
    return n_experts * (1 - (1 - n_active_experts / n_experts) ** real(batch))


def experts_touched_in_prefill(n_experts: Count, n_active_experts: Count, prompts: Sequences,
                               prompt_tokens: Tokens) -> Count:
    """Expected number of experts of one layer that at least one token of the prompts chooses, choices uniform.

    >>> round(experts_touched_in_prefill(n_experts=256, n_active_experts=8, prompts=1, prompt_tokens=64))
    222
    """
    return experts_touched(n_experts, n_active_experts, real(prompts) * real(prompt_tokens))


def skewed_experts_touched(n_experts: Count, n_active_experts: Count, batch: Sequences, hot_share: Fraction,
                           hot_load: Fraction) -> Count:
    """The same where the share `hot_share` of the experts, below 1, gets the share `hot_load` of the choices, evenly in each part.

    A load below the share counts as the share: then choices are uniform. An expert is chosen once by a token at most, so that
    what hot experts cannot take goes to the others. `llmcost.routing.touched` sums any popularity, expert by expert.

    >>> skewed_experts_touched(n_experts=256, n_active_experts=8, batch=1, hot_share=0.125, hot_load=0.5)
    8.0
    >>> round(skewed_experts_touched(n_experts=256, n_active_experts=8, batch=64, hot_share=0.125, hot_load=0.5))
    185
    """
    hot = minimum(maximum(hot_load, hot_share) / hot_share * n_active_experts / n_experts, 1)
    cold = (n_active_experts / n_experts - hot_share * hot) / (1 - hot_share)
    left_out = hot_share * (1 - hot) ** real(batch) + (1 - hot_share) * (1 - cold) ** real(batch)
    return n_experts * (1 - left_out)
