"""A task in many calls, by the answer that is accepted in the end: context sent again, attempts that fail, people who check.

An attempt is a run of `turns` calls, each with all that was said before. It succeeds with a probability that later attempts share.
"""

from .elementwise import real
from .units import Count, Fraction, Tokens, Usd, UsdPerToken


def resent_multiple(conversation_input_tokens: Tokens, conversation_new_tokens: Tokens) -> Count:
    """How many times a token of an attempt is sent on average, the first time included.

    >>> resent_multiple(conversation_input_tokens=4500, conversation_new_tokens=1500)
    3.0
    """
    return real(conversation_input_tokens) / conversation_new_tokens


def resent_price(hit_share: Fraction, cached_price: UsdPerToken, write_price: UsdPerToken) -> UsdPerToken:
    """Price of a token that was sent before: read from a cache, or in the other calls charged anew.

    >>> round(resent_price(hit_share=0.5, cached_price=1e-6, write_price=3e-6), 9)
    2e-06
    """
    return hit_share * cached_price + (1 - hit_share) * write_price


def attempt_input_usd(conversation_input_tokens: Tokens, conversation_new_tokens: Tokens, resent_price: UsdPerToken,
                      write_price: UsdPerToken) -> Usd:
    """What the input of one attempt costs: new tokens once, and all of them again with each call.

    >>> round(attempt_input_usd(4500, 1500, resent_price=1e-6, write_price=2e-6), 9)
    0.006
    """
    return (real(conversation_input_tokens) - conversation_new_tokens) * resent_price + real(conversation_new_tokens) * write_price


def attempt_output_usd(turns: Count, billed_output_tokens: Tokens, output_price: UsdPerToken) -> Usd:
    """What the output of one attempt costs, hidden reasoning included.

    >>> round(attempt_output_usd(turns=10, billed_output_tokens=500, output_price=4e-6), 9)
    0.02
    """
    return real(turns) * billed_output_tokens * output_price


def attempt_usd(attempt_input_usd: Usd, attempt_output_usd: Usd) -> Usd:
    """What one attempt costs, right or wrong.

    >>> attempt_usd(attempt_input_usd=0.125, attempt_output_usd=0.25)
    0.375
    """
    return attempt_input_usd + attempt_output_usd


def accepted_share(success_share: Fraction, attempt_limit: Count) -> Fraction:
    """Share of the tasks that have an accepted answer after so many attempts at most, each as likely as the first.

    >>> accepted_share(success_share=0.5, attempt_limit=3)
    0.875
    """
    return 1 - (1 - success_share) ** attempt_limit


def expected_attempts(accepted_share: Fraction, success_share: Fraction) -> Count:
    """Attempts of a task on average, when one stops at the first that is accepted.

    >>> expected_attempts(accepted_share=0.875, success_share=0.5)
    1.75
    """
    return accepted_share / success_share


def accepted_usd(attempt_usd: Usd, review_usd: Usd, success_share: Fraction) -> Usd:
    """Cost of an accepted answer: an attempt and its check, over the share of attempts that pass.

    The limit on attempts cancels: more attempts cost more and accept more, in the same proportion.

    >>> accepted_usd(attempt_usd=0.5, review_usd=1, success_share=0.75)
    2.0
    """
    return (attempt_usd + review_usd) / success_share


def done_usd(attempt_usd: Usd, review_usd: Usd, expected_attempts: Count, accepted_share: Fraction, fallback_usd: Usd) -> Usd:
    """Cost of a task that is done in any case: attempts with their checks, and somebody else where none is accepted.

    >>> done_usd(attempt_usd=0.5, review_usd=1, expected_attempts=1.5, accepted_share=0.75, fallback_usd=20)
    7.25
    """
    return expected_attempts * (attempt_usd + review_usd) + (1 - accepted_share) * fallback_usd


def tie_success_share(attempt_usd: Usd, review_usd: Usd, other_accepted_usd: Usd) -> Fraction:
    """Share of attempts that must pass for an accepted answer to cost what another model's does; above 1 it cannot.

    >>> tie_success_share(attempt_usd=0.5, review_usd=1, other_accepted_usd=3)
    0.5
    """
    return (attempt_usd + review_usd) / other_accepted_usd


def tie_review_usd(attempt_usd: Usd, success_share: Fraction, other_attempt_usd: Usd, other_success_share: Fraction) -> Usd:
    """Cost of a check at which two models tie; above it the one that succeeds more often is cheaper. Below 0 it always is.

    Defined where the shares differ.

    >>> tie_review_usd(attempt_usd=0.5, success_share=0.25, other_attempt_usd=1.5, other_success_share=0.5)
    0.5
    """
    return (other_attempt_usd * success_share - attempt_usd * other_success_share) / (other_success_share - success_share)
