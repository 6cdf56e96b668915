"""Experts spread over GPUs: what each GPU holds, reads, computes and exchanges, and how long a pass takes.

`expert_gpus` GPUs share the experts of every mixture layer. They stand in groups of `n_gpus`, 1 or more, that share the
attention of a batch as in `llmcost.phases`: `batch` is the sequences of one group, and all groups step together. What is not
an expert, each group holds in full. So a token meets its experts on other GPUs: it is dispatched to them, and what they make of
it is combined. Where one group has all experts nothing is exchanged: that is tensor parallelism.

A pass may be cut into micro-batches: while one is exchanged, another is worked on. Each reads the weights anew.

Sources: DeepSeek-V3 2024, section 3.4; DeepSeek 2025 (DeepEP; inference system overview).
"""

from .capacity import kv_room_bytes, sequences_that_fit
from .elementwise import ceil, maximum, minimum, real, where_above
from .moe import skewed_experts_touched
from .parallelism import expert_exchange_bytes, expert_exchange_seconds
from .units import (Bytes, BytesPerElement, BytesPerParam, BytesPerSecond, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences,
                    Tokens, TokensPerSecond)


# --- what a GPU holds ------------------------------------------------------------------------------------

def expert_slots(n_experts: Count, redundant_experts: Count, expert_gpus: Count) -> Count:
    """Experts of each layer on the fullest GPU, copies of popular ones among them.

    >>> expert_slots(n_experts=256, redundant_experts=32, expert_gpus=144)
    2
    """
    return ceil((real(n_experts) + redundant_experts) / expert_gpus)


def spread_weight_bytes(n_params: Count, n_expert_params: Count, n_experts: Count, expert_slots: Count, n_gpus: Count,
                        weight_bytes_per_param: BytesPerParam, expert_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights on the fullest GPU: its share of what each group holds in full, and its experts of all layers.

    >>> spread_weight_bytes(n_params=100, n_expert_params=80, n_experts=8, expert_slots=2, n_gpus=1, weight_bytes_per_param=2,
    ...                     expert_bytes_per_param=1)
    60.0
    """
    return ((n_params - n_expert_params) / real(n_gpus) * weight_bytes_per_param
            + expert_slots * n_expert_params / n_experts * expert_bytes_per_param)


def spread_kv_room_bytes(memory_bytes: Bytes, memory_utilization: Fraction, overhead_bytes: Bytes, spread_weight_bytes: Bytes) -> Bytes:
    """Bytes left on the fullest GPU for the cache; negative when the weights do not fit.

    >>> spread_kv_room_bytes(memory_bytes=80e9, memory_utilization=0.9, overhead_bytes=2e9, spread_weight_bytes=20e9)
    50000000000.0
    """
    return kv_room_bytes(memory_bytes, memory_utilization, overhead_bytes, spread_weight_bytes)


def spread_sequences_that_fit(spread_kv_room_bytes: Bytes, state_bytes_per_gpu: Bytes) -> Sequences:
    """Whole sequences of one group that fit; 0 when there is no room.

    >>> spread_sequences_that_fit(spread_kv_room_bytes=50e9, state_bytes_per_gpu=4e9)
    12
    """
    return sequences_that_fit(spread_kv_room_bytes, state_bytes_per_gpu)


# --- one pass of decode ------------------------------------------------------------------------------------

def micro_tokens(batch: Sequences, draft_tokens: Tokens, micro_batches: Count) -> Tokens:
    """Tokens of one group in one micro-batch: one of each sequence, and the draft that is checked with it.

    >>> micro_tokens(batch=128, draft_tokens=1, micro_batches=2)
    128.0
    """
    return real(batch) * (draft_tokens + 1) / micro_batches


def slots_touched(n_experts: Count, redundant_experts: Count, n_active_experts: Count, micro_tokens: Tokens, n_gpus: Count,
                  expert_gpus: Count, hot_share: Fraction, hot_load: Fraction) -> Count:
    """Experts of one layer that a GPU reads for one micro-batch of all groups, on average; copies share the tokens.

    >>> slots_touched(n_experts=256, redundant_experts=32, n_active_experts=8, micro_tokens=64, n_gpus=1, expert_gpus=144,
    ...               hot_share=0.125, hot_load=0.125)
    2.0
    """
    tokens = real(micro_tokens) * expert_gpus / n_gpus
    return skewed_experts_touched(n_experts + redundant_experts, n_active_experts, tokens, hot_share, hot_load) / expert_gpus


def spread_weight_bytes_read(n_params: Count, n_lookup_params: Count, n_expert_params: Count, n_experts: Count, slots_touched: Count,
                             n_gpus: Count, weight_bytes_per_param: BytesPerParam, expert_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights that one GPU reads for one micro-batch.

    >>> spread_weight_bytes_read(n_params=110, n_lookup_params=10, n_expert_params=80, n_experts=8, slots_touched=2, n_gpus=1,
    ...                          weight_bytes_per_param=2, expert_bytes_per_param=1)
    60.0
    """
    return ((n_params - n_lookup_params - n_expert_params) / real(n_gpus) * weight_bytes_per_param
            + slots_touched * n_expert_params / n_experts * expert_bytes_per_param)


def spread_computing_seconds(batch: Sequences, draft_tokens: Tokens, n_active_params: Count, n_lookup_params: Count,
                             n_expert_params: Count, n_experts: Count, n_active_experts: Count, state_attention_flops: Flop,
                             expert_imbalance: Count, n_gpus: Count, peak_flops: FlopPerSecond,
                             peak_flops_bf16: FlopPerSecond) -> Seconds:
    """Time that the fullest GPU computes in one pass, all micro-batches together, at full speed.

    `expert_imbalance` is the expert work of that GPU over the mean. Attention is computed in BF16, whatever the products with
    weights are computed in.

    >>> spread_computing_seconds(batch=10, draft_tokens=0, n_active_params=110, n_lookup_params=10, n_expert_params=80, n_experts=8,
    ...                          n_active_experts=8, state_attention_flops=100, expert_imbalance=2, n_gpus=1, peak_flops=100,
    ...                          peak_flops_bf16=50)
    56.0
    """
    experts = n_expert_params / n_experts * n_active_experts
    products = 2 * (n_active_params - n_lookup_params + experts * (expert_imbalance - 1))
    each = products / peak_flops + state_attention_flops / peak_flops_bf16
    return real(batch) * (draft_tokens + 1) / n_gpus * each


def group_tensor_seconds(n_layers: Count, n_dense_layers: Count, n_gpus: Count, expert_gpus: Count, all_reduce_seconds: Seconds,
                         skew_seconds: Seconds) -> Seconds:
    """Time that a group's all-reduces of one micro-batch take: after attention, and after every MLP whose experts stay in the group.

    >>> group_tensor_seconds(n_layers=61, n_dense_layers=3, n_gpus=4, expert_gpus=320, all_reduce_seconds=1e-5, skew_seconds=0)
    0.00064
    """
    return where_above(expert_gpus, n_gpus, n_layers + n_dense_layers, 2 * n_layers) * (all_reduce_seconds + skew_seconds)


def micro_work_seconds(spread_weight_bytes_read: Bytes, state_reading_seconds: Seconds, spread_computing_seconds: Seconds,
                       micro_batches: Count, memory_bandwidth: BytesPerSecond, bandwidth_efficiency: Fraction,
                       compute_efficiency: Fraction, group_tensor_seconds: Seconds, fixed_step_seconds: Seconds) -> Seconds:
    """Time that a GPU works on one micro-batch: reading or computing, the longer one, all-reduces, and the fixed time.

    >>> micro_work_seconds(16e9, 0.004, 0.002, micro_batches=2, memory_bandwidth=2e12, bandwidth_efficiency=0.5,
    ...                    compute_efficiency=0.5, group_tensor_seconds=0, fixed_step_seconds=0)
    0.02
    """
    reading = spread_weight_bytes_read / memory_bandwidth + state_reading_seconds / micro_batches
    computing = spread_computing_seconds / micro_batches
    return maximum(reading / bandwidth_efficiency, computing / compute_efficiency) + group_tensor_seconds + fixed_step_seconds


def exchange_seconds(n_layers: Count, n_dense_layers: Count, micro_tokens: Tokens, n_gpus: Count, expert_gpus: Count,
                     n_active_experts: Count, d_model: Count, dispatch_bytes_per_element: BytesPerElement,
                     activation_bytes_per_element: BytesPerElement, exchange_bandwidth: BytesPerSecond,
                     exchange_efficiency: Fraction, exchange_hop_seconds: Seconds, expert_hops: Count) -> Seconds:
    """Time that one micro-batch is on its way to experts and back, in all mixture layers; none where a group has all experts.

    Each token goes to each of its experts by itself, as in kernels made for short passes. The GPUs of a group share its tokens.

    >>> round(exchange_seconds(n_layers=61, n_dense_layers=3, micro_tokens=64, n_gpus=1, expert_gpus=2, n_active_experts=8, d_model=7168,
    ...                        dispatch_bytes_per_element=1, activation_bytes_per_element=2, exchange_bandwidth=50e9,
    ...                        exchange_efficiency=0.8, exchange_hop_seconds=0, expert_hops=16), 10)
    0.0079822848
    """
    tokens = real(micro_tokens) / n_gpus
    there, back = (expert_exchange_seconds(expert_exchange_bytes(tokens, n_active_experts, d_model, size), expert_gpus,
                                           exchange_bandwidth, exchange_hop_seconds, exchange_efficiency, expert_hops)
                   for size in (dispatch_bytes_per_element, activation_bytes_per_element))
    return where_above(expert_gpus, n_gpus, (n_layers - n_dense_layers) * (there + back), 0 * there)


def overlapped_seconds(micro_batches: Count, micro_work_seconds: Seconds, exchange_seconds: Seconds) -> Seconds:
    """Time of one pass: one micro-batch works and then waits for its exchange; of several, one works while another waits.

    >>> overlapped_seconds(1, micro_work_seconds=3, exchange_seconds=2), overlapped_seconds(2, 3, exchange_seconds=2)
    (5, 6)
    """
    return where_above(micro_batches, 1, micro_batches * maximum(micro_work_seconds, exchange_seconds),
                       micro_work_seconds + exchange_seconds)


def spread_tpot(overlapped_seconds: Seconds, draft_tokens: Tokens, draft_share: Fraction, accepted_tokens: Tokens) -> Seconds:
    """Time per output token: a pass, longer by `draft_share` of itself for each token of a draft, over the tokens it yields.

    >>> spread_tpot(overlapped_seconds=0.05, draft_tokens=1, draft_share=0.02, accepted_tokens=1.7)
    0.030000000000000002
    """
    return overlapped_seconds * (1 + draft_tokens * draft_share) / accepted_tokens


def spread_gpu_tokens_per_second(batch: Sequences, n_gpus: Count, spread_tpot: Seconds) -> TokensPerSecond:
    """Output tokens each second of one GPU.

    >>> spread_gpu_tokens_per_second(batch=100, n_gpus=1, spread_tpot=0.05)
    2000.0
    """
    return real(batch) / n_gpus / spread_tpot


# --- one pass of prefill ------------------------------------------------------------------------------------

def nodes_reached(n_nodes: Count, n_active_experts: Count, node_limit: Count) -> Count:
    """Nodes on which a token has an expert, on average, choices uniform; routing may hold it to `node_limit` of them.

    Experts are drawn as if one could be drawn twice: too few nodes where each holds few experts, by 1.4 % for 8 of 256 experts on 256
    nodes, by a third where a token uses all of 8 on 8. The limit is put on the mean, which is a few percent more than the mean under it.

    >>> nodes_reached(n_nodes=1, n_active_experts=8, node_limit=4), nodes_reached(n_nodes=40, n_active_experts=8, node_limit=4)
    (1.0, 4)
    """
    return minimum(n_nodes * (1 - (1 - 1 / real(n_nodes)) ** n_active_experts), node_limit)


def prompt_work_seconds(prompt_tokens: Tokens, n_active_params: Count, n_lookup_params: Count, n_head_params: Count,
                        n_expert_params: Count, n_experts: Count, n_active_experts: Count, prefill_attention_flops: Flop,
                        expert_imbalance: Count, peak_flops: FlopPerSecond, peak_flops_bf16: FlopPerSecond,
                        compute_efficiency: Fraction) -> Seconds:
    """Time of one GPU that computing a prompt takes, in passes so large that reading weights does not count.

    >>> round(prompt_work_seconds(10, n_active_params=130, n_lookup_params=10, n_head_params=20, n_expert_params=80, n_experts=8,
    ...                     n_active_experts=8, prefill_attention_flops=60, expert_imbalance=1, peak_flops=100,
    ...                     peak_flops_bf16=50, compute_efficiency=0.5), 9)
    43.2
    """
    experts = n_expert_params / n_experts * n_active_experts
    body = n_active_params - n_lookup_params - n_head_params + experts * (expert_imbalance - 1)
    products = 2 * (real(prompt_tokens) * body + n_head_params) / peak_flops
    return (products + prefill_attention_flops / peak_flops_bf16) / compute_efficiency


def prompt_exchange_seconds(prompt_tokens: Tokens, n_layers: Count, n_dense_layers: Count, n_nodes: Count, nodes_reached: Count,
                            d_model: Count, dispatch_bytes_per_element: BytesPerElement,
                            activation_bytes_per_element: BytesPerElement, exchange_bandwidth: BytesPerSecond,
                            bulk_exchange_efficiency: Fraction) -> Seconds:
    """Time of one GPU's network that a prompt takes: each token goes once to each other node where it has an expert, and back.

    Inside a node it is passed on over faster links at the same time. None for one node.

    >>> prompt_exchange_seconds(1000, n_layers=61, n_dense_layers=3, n_nodes=4, nodes_reached=4, d_model=7168,
    ...                         dispatch_bytes_per_element=1, activation_bytes_per_element=2, exchange_bandwidth=50e9,
    ...                         bulk_exchange_efficiency=0.8)
    0.0935424
    """
    others = nodes_reached * (1 - 1 / real(n_nodes))
    each = others * d_model * (dispatch_bytes_per_element + activation_bytes_per_element)
    return (n_layers - n_dense_layers) * real(prompt_tokens) * each / (exchange_bandwidth * bulk_exchange_efficiency)


def spread_prompt_seconds(micro_batches: Count, prompt_work_seconds: Seconds, prompt_exchange_seconds: Seconds) -> Seconds:
    """Time of one GPU that a prompt takes: both, or with several micro-batches the longer one.

    >>> spread_prompt_seconds(2, prompt_work_seconds=3, prompt_exchange_seconds=2)
    3
    """
    return where_above(micro_batches, 1, maximum(prompt_work_seconds, prompt_exchange_seconds),
                       prompt_work_seconds + prompt_exchange_seconds)


def spread_prefill_tokens_per_second(prompt_tokens: Tokens, spread_prompt_seconds: Seconds) -> TokensPerSecond:
    """Prompt tokens that one GPU prefills each second, none of them read from a cache.

    >>> spread_prefill_tokens_per_second(prompt_tokens=4000, spread_prompt_seconds=0.5)
    8000.0
    """
    return real(prompt_tokens) / spread_prompt_seconds
