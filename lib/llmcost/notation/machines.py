"""Symbols of machines and of what stands between them."""

from .quantity import Quantity

_ = Quantity

ROWS: dict[str, Quantity] = {
    # machines
    "n_gpus": _("N", "1", "GPUs", 1, 512),
    "memory_bytes": _("M", "byte", "memory of one GPU", 1e9, 1e12),
    "memory_utilization": _("u", "fraction", "share of the memory the engine takes", 0.5, 1, "linear", False),
    "overhead_bytes": _("O", "byte", "activations, runtime and graphs on one GPU", 0, 2e10, "linear"),
    "memory_bandwidth": _(r"\beta", "byte/second", "memory bandwidth of one GPU", 1e10, 1e14),
    "peak_flops": _("C", "flop/second", "peak dense FLOP/s of one GPU", 1e12, 1e17),
    "power_w": _("P_w", "watt", "rated power of one GPU", 10, 3_000, whole=False),
    "power_share": _(r"\sigma_w", "fraction", "share of the rated power that is drawn at work", 0.05, 1.2, "linear", False),
    "host_watts": _("P_{ho}", "watt", "power of the machine around a GPU", 0, 1_000, "linear", False),
    "idle_watts": _("P_0", "watt", "power while nothing is asked", 0, 500, "linear", False),
    "pue": _(r"\eta_p", "1", "power of a building over that of its machines (PUE)", 1, 3, "linear", False),
    "layer_overhead_seconds": _(r"t_l", "second", "fixed time of a layer in one step", 0, 1e-3, "linear", False),
    # between GPUs
    "link_bandwidth_per_direction": _(r"\lambda", "byte/second", "bandwidth of a GPU's links, one direction", 1e9, 1e13),
    "mesh_links": _("n_l", "1", "links of a GPU in a mesh, 1 with a switch", 1, 16),
    "message_bytes": _("M_m", "byte", "message", 1, 1e11),
    "hop_seconds": _(r"t_h", "second", "time of a hop", 1e-7, 1e-5, whole=False),
    "hops": _("h_n", "1", "hops", 0, 1_000, "linear", False),
    "link_efficiency": _(r"\epsilon_l", "fraction", "share of the link's bandwidth that is reached", 0.05, 1, "linear", False),
    "switch_efficiency": _(r"\epsilon_s", "fraction", "the same where the switch adds", 0.05, 1, "linear", False),
    "one_shot_hops": _("h_1", "1", "hops of an all-reduce in one exchange", 1, 10, "linear", False),
    "two_shot_hops": _("h_2", "1", "hops of an all-reduce in two exchanges", 1, 20, "linear", False),
    "hops_per_peer": _("h_p", "1", "hops for each further GPU", 0, 2, "linear", False),
    "in_switch_hops": _("h_s", "1", "hops to set up a reduction in the switch", 1, 200, "linear", False),
    "in_switch_above": _("N_s", "1", "GPUs above which the switch adds", 1, 1e6),
    "launch_hops": _("h_l", "1", "hops before the first step of a library's ring", 0, 50, "linear", False),
    "bulk_hops": _("h_b", "1", "the same for large messages", 0, 100, "linear", False),
    "exchange_hops": _("h_x", "1", "hops of a library's exchange", 0, 50, "linear", False),
    "expert_hops": _("h_e", "1", "hops of a dispatch or a combine", 0, 50, "linear", False),
    "rounds": _("r_n", "1", "rounds of a ring: 2 for an all-reduce, else 1", 1, 2, "linear"),
    "arrival_skew_seconds": _(r"t_a", "second", "waiting for the last GPU at each all-reduce", 0, 1e-3, "linear", False),
    "replicas": _("n_{rep}", "1", "replicas", 1, 1_000),
    "n_stages": _("n_{pp}", "1", "pipeline stages", 1, 64),
    "micro_batches": _("m_b", "1", "micro-batches", 1, 256),
    "dispatch_bytes_per_element": _("b_x", "byte/element", "bytes per element on the way to an expert", 1, 4, whole=False),
    # experts on many GPUs
    "expert_gpus": _("N_e", "1", "GPUs over which experts are spread", 1, 512),
    "redundant_experts": _("E_r", "1", "further copies of popular experts", 0, 256, "linear"),
    "expert_imbalance": _(r"\iota", "1", "expert work of the fullest GPU over the mean", 1, 5, "linear", False),
    "peak_flops_bf16": _("C_a", "flop/second", "peak dense FLOP/s of one GPU in BF16", 1e12, 1e17),
    "exchange_bandwidth": _(r"\lambda_x", "byte/second", "what a GPU can send to GPUs with other experts", 1e9, 1e13),
    "exchange_efficiency": _(r"\epsilon_x", "fraction", "share of it that is reached", 0.05, 1, "linear", False),
    "bulk_exchange_efficiency": _(r"\epsilon_b", "fraction", "the same for large passes", 0.05, 1, "linear", False),
    "exchange_hop_seconds": _("t_y", "second", "time of a hop between them", 0, 1e-5, "linear", False),
    "n_nodes": _("n_{no}", "1", "nodes", 1, 100),
    "node_limit": _(r"\hat n_{no}", "1", "nodes to which a token may go at most", 1, 100),
    "transfer_bandwidth": _(r"\lambda_k", "byte/second", "bandwidth for the state of prompts", 1e9, 1e13),
    "whole_pass_seconds": _(r"\tau_m", "second", "time of a micro-batch through all layers", 1e-6, 1e3, whole=False),
}
