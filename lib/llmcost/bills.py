"""Tokens become dollars on the bill of an API.

Prices are in USD per token; only text shows them per million tokens.
A price that a list does not print is not zero: `llmcost.prices` fills it with what the vendor charges instead.
"""

from .elementwise import positive_part, real, where_above
from .phases import decode_seconds, mean_context
from .units import Bytes, BytesPerToken, Count, Fraction, Seconds, Tokens, Usd, UsdPerToken


# --- a bill --------------------------------------------------------------------------------------

def fresh_tokens(input_tokens: Tokens, cached_tokens: Tokens, written_tokens: Tokens) -> Tokens:
    """Input tokens at the full price: those neither read from a cache nor charged as written to one; never less than none.

    >>> fresh_tokens(input_tokens=1000, cached_tokens=700, written_tokens=100)
    200
    """
    return positive_part(real(input_tokens) - cached_tokens - written_tokens)


def read_tokens(input_tokens: Tokens, cached_share: Fraction) -> Tokens:
    """Input tokens that are read from a cache.

    >>> read_tokens(input_tokens=1000, cached_share=0.75)
    750.0
    """
    return input_tokens * cached_share


def stored_tokens(input_tokens: Tokens, cached_share: Fraction, written_share: Fraction) -> Tokens:
    """Input tokens that are charged as written to a cache: a share of those that are not read from one.

    >>> stored_tokens(input_tokens=1000, cached_share=0.75, written_share=0.5)
    125.0
    """
    return input_tokens * (1 - cached_share) * written_share


def input_usd(input_tokens: Tokens, cached_tokens: Tokens, written_tokens: Tokens, input_price: UsdPerToken,
              cached_price: UsdPerToken, write_price: UsdPerToken, tier_tokens: Tokens, tier_input_price: UsdPerToken,
              tier_cached_price: UsdPerToken, tier_write_price: UsdPerToken) -> Usd:
    """What the prompt of one request costs; past `tier_tokens` in `input_tokens`, all parts included, it is at the tier's prices.

    >>> round(input_usd(1000, 600, 0, input_price=3e-6, cached_price=3e-7, write_price=3e-6, tier_tokens=200_000,
    ...                 tier_input_price=6e-6, tier_cached_price=6e-7, tier_write_price=6e-6), 9)
    0.00138
    """
    fresh = fresh_tokens(input_tokens, cached_tokens, written_tokens)
    usual = fresh * input_price + cached_tokens * cached_price + written_tokens * write_price
    tier = fresh * tier_input_price + cached_tokens * tier_cached_price + written_tokens * tier_write_price
    return where_above(input_tokens, tier_tokens, tier, usual)


def output_usd(input_tokens: Tokens, output_tokens: Tokens, output_price: UsdPerToken, tier_tokens: Tokens,
               tier_output_price: UsdPerToken) -> Usd:
    """What the reply of one request costs, its hidden reasoning included; the prompt decides the tier.

    >>> round(output_usd(1000, 1000, output_price=15e-6, tier_tokens=200_000, tier_output_price=22.5e-6), 9)
    0.015
    """
    return where_above(input_tokens, tier_tokens, output_tokens * tier_output_price, output_tokens * output_price)


def bill_usd(input_usd: Usd, output_usd: Usd, batched: Fraction, batch_multiplier: Fraction) -> Usd:
    """What one request costs; the share `batched` of it may wait and is at `batch_multiplier` of the price.

    >>> bill_usd(input_usd=0.003, output_usd=0.015, batched=1, batch_multiplier=0.5)
    0.009
    """
    return (input_usd + output_usd) * (1 - batched * (1 - batch_multiplier))


def traffic_usd(calls: Count, bill_usd: Usd) -> Usd:
    """What many calls of one kind cost.

    >>> traffic_usd(calls=1000, bill_usd=0.018)
    18.0
    """
    return calls * bill_usd


def output_price_ratio(output_price: UsdPerToken, input_price: UsdPerToken) -> Count:
    """How many input tokens cost as much as one output token.

    >>> output_price_ratio(output_price=15, input_price=3)
    5.0
    """
    return output_price / input_price


def output_share(input_usd: Usd, output_usd: Usd) -> Fraction:
    """Share of the bill that the reply takes.

    >>> output_share(input_usd=0.001, output_usd=0.003)
    0.75
    """
    return output_usd / (input_usd + output_usd)


def prompt_usd(calls: Count, prompt_tokens: Tokens, input_price: UsdPerToken) -> Usd:
    """What the prompts of `calls` calls cost where no cache, no batch and no tier is in play.

    >>> round(prompt_usd(calls=1000, prompt_tokens=2000, input_price=3e-6), 9)
    6.0
    """
    return calls * real(prompt_tokens) * input_price


def reply_usd(calls: Count, output_tokens: Tokens, output_price: UsdPerToken) -> Usd:
    """What the replies of `calls` calls cost where no batch and no tier is in play.

    >>> round(reply_usd(calls=1000, output_tokens=500, output_price=15e-6), 9)
    7.5
    """
    return calls * real(output_tokens) * output_price


def plain_usd(prompt_usd: Usd, reply_usd: Usd) -> Usd:
    """What calls cost where no cache, no batch and no tier is in play.

    >>> plain_usd(prompt_usd=0.25, reply_usd=0.5)
    0.75
    """
    return prompt_usd + reply_usd


def reasoning_share(reasoning_tokens: Tokens, output_tokens: Tokens) -> Fraction:
    """Share of the output of one call that is reasoning, which the reader does not see.

    >>> reasoning_share(reasoning_tokens=1500, output_tokens=2000)
    0.75
    """
    return reasoning_tokens / output_tokens


# --- reasoning -----------------------------------------------------------------------------------

def thinking_tokens(answer_tokens: Tokens, thinking_multiple: Count) -> Tokens:
    """Hidden reasoning tokens, for an answer that comes with `thinking_multiple` of them for each visible one.

    >>> thinking_tokens(answer_tokens=200, thinking_multiple=10)
    2000
    """
    return answer_tokens * thinking_multiple


def billed_output_tokens(answer_tokens: Tokens, thinking_tokens: Tokens) -> Tokens:
    """Output tokens on the bill: what the reader sees, and the reasoning before it.

    >>> billed_output_tokens(answer_tokens=200, thinking_tokens=2000)
    2200
    """
    return answer_tokens + thinking_tokens


def reasoned_usd(calls: Count, prompt_usd: Usd, billed_output_tokens: Tokens, output_price: UsdPerToken) -> Usd:
    """What calls cost that reason before they answer: the hidden reasoning is billed as output.

    >>> reasoned_usd(calls=2, prompt_usd=0.25, billed_output_tokens=1000, output_price=2**-10)
    2.203125
    """
    return prompt_usd + calls * billed_output_tokens * output_price


def thinking_context(prompt_tokens: Tokens, billed_output_tokens: Tokens) -> Tokens:
    """Tokens in the context of the decode steps of a reply with reasoning before it, on average.

    >>> thinking_context(prompt_tokens=1000, billed_output_tokens=2200)
    2100.0
    """
    return mean_context(prompt_tokens, billed_output_tokens)


def answer_seconds(billed_output_tokens: Tokens, decode_step_seconds: Seconds) -> Seconds:
    """Time of the decode steps from the first token to the end of the answer, reasoning included.

    >>> answer_seconds(billed_output_tokens=2201, decode_step_seconds=0.01)
    22.0
    """
    return decode_seconds(billed_output_tokens, decode_step_seconds)


def thinking_state_bytes(thinking_tokens: Tokens, growing_bytes_per_token: BytesPerToken) -> Bytes:
    """Memory that the state of the reasoning takes, until the answer is there.

    >>> thinking_state_bytes(thinking_tokens=2000, growing_bytes_per_token=327_680)
    655360000
    """
    return thinking_tokens * growing_bytes_per_token


# --- a conversation, sent again with each call -----------------------------------------------------

def conversation_input_tokens(turns: Count, instruction_tokens: Tokens, question_tokens: Tokens,
                              answer_tokens: Tokens) -> Tokens:
    """Input tokens of all calls of a conversation: each sends the instruction and all that was said before.

    >>> conversation_input_tokens(turns=3, instruction_tokens=1000, question_tokens=100, answer_tokens=300)
    4500.0
    """
    said = real(turns) * (real(turns) - 1) / 2 * (question_tokens + answer_tokens)
    return real(turns) * (instruction_tokens + question_tokens) + said


def conversation_new_tokens(turns: Count, instruction_tokens: Tokens, question_tokens: Tokens,
                            answer_tokens: Tokens) -> Tokens:
    """Input tokens of a conversation that no earlier call has sent, each counted once.

    >>> conversation_new_tokens(turns=3, instruction_tokens=1000, question_tokens=100, answer_tokens=300)
    1900
    """
    return instruction_tokens + real(turns) * question_tokens + (real(turns) - 1) * answer_tokens


def conversation_output_usd(turns: Count, answer_tokens: Tokens, output_price: UsdPerToken) -> Usd:
    """What the answers of a conversation cost.

    >>> conversation_output_usd(turns=10, answer_tokens=300, output_price=1e-6)
    0.003
    """
    return reply_usd(turns, answer_tokens, output_price)


def conversation_usd(conversation_input_tokens: Tokens, conversation_output_usd: Usd, input_price: UsdPerToken) -> Usd:
    """What a conversation costs where nothing is read from a cache and no call reaches a tier.

    >>> conversation_usd(conversation_input_tokens=4500, conversation_output_usd=0.0135, input_price=3e-6)
    0.027
    """
    return conversation_input_tokens * input_price + conversation_output_usd


def cached_conversation_usd(conversation_input_tokens: Tokens, conversation_new_tokens: Tokens,
                            conversation_output_usd: Usd, cached_price: UsdPerToken, write_price: UsdPerToken) -> Usd:
    """What a conversation costs where each call reads from a cache all that was sent before, and writes the rest.

    >>> round(cached_conversation_usd(conversation_input_tokens=4500, conversation_new_tokens=1900,
    ...                               conversation_output_usd=0.0135, cached_price=3e-7, write_price=3e-6), 9)
    0.01998
    """
    read = conversation_input_tokens - conversation_new_tokens
    return read * cached_price + conversation_new_tokens * write_price + conversation_output_usd


# --- a cached prefix -------------------------------------------------------------------------------

def prefix_price(hit_share: Fraction, cached_price: UsdPerToken, write_price: UsdPerToken) -> UsdPerToken:
    """Price of a token of a prefix that is marked for the cache: read where it is there, else written.

    >>> prefix_price(hit_share=0.5, cached_price=0.5, write_price=1.5)
    1.0
    """
    return hit_share * cached_price + (1 - hit_share) * write_price


def prefix_usd(calls: Count, prompt_tokens: Tokens, prefix_price: UsdPerToken) -> Usd:
    """What prompts that are marked for the cache cost in `calls` calls.

    >>> round(prefix_usd(calls=1000, prompt_tokens=10_000, prefix_price=1e-6), 9)
    10.0
    """
    return prompt_usd(calls, prompt_tokens, prefix_price)


def break_even_hit_share(input_price: UsdPerToken, cached_price: UsdPerToken, write_price: UsdPerToken) -> Fraction:
    """Share of the calls that must find the prefix in the cache, for the cache to cost no more than none.

    >>> break_even_hit_share(input_price=3, cached_price=0, write_price=4)
    0.25
    """
    return (write_price - input_price) / (write_price - cached_price)


def break_even_reads(input_price: UsdPerToken, cached_price: UsdPerToken, write_price: UsdPerToken) -> Count:
    """Reads of a cached prefix after which writing it has paid.

    Writing costs the difference of `write_price` and `input_price`; each read saves that of `input_price` and `cached_price`.

    >>> round(break_even_reads(input_price=3, cached_price=0.3, write_price=3.75), 3)
    0.278
    """
    return (write_price - input_price) / (input_price - cached_price)


def text_usd(text_units: Count, tokens_per_unit: Count, input_price: UsdPerToken) -> Usd:
    """What it costs to send a text of `text_units` words or characters.

    >>> text_usd(text_units=1000, tokens_per_unit=1.5, input_price=2e-6)
    0.003
    """
    return text_units * tokens_per_unit * input_price
