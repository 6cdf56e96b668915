"""Collectives: bytes between GPUs become seconds.

A collective is a number of hops and a number of bytes. A hop is one GPU telling another over the link that its data
is there. The algorithm decides both numbers, and software takes the fastest one for the size of the message.

`message_bytes` is the whole tensor: what each GPU holds before an all-reduce, a reduce-scatter or an all-to-all, and
after an all-gather. `link_bandwidth_per_direction` is what one GPU can send to all others together.
`n_gpus` is the size of the group: the GPUs of one tensor-parallel group, as in `llmcost.phases`.
"""

from math import inf

from .elementwise import maximum, minimum, real, where_above
from .units import Bytes, BytesPerSecond, Count, Fraction, Seconds


# --- bytes that one GPU sends ------------------------------------------------------------------------

def share_bytes(message_bytes: Bytes, n_gpus: Count) -> Bytes:
    """All-gather, reduce-scatter or all-to-all: all but a GPU's own share of the message.

    >>> share_bytes(message_bytes=100, n_gpus=4)
    75.0
    """
    return (real(n_gpus) - 1) / real(n_gpus) * message_bytes


def one_shot_bytes(message_bytes: Bytes, n_gpus: Count) -> Bytes:
    """All-reduce in one exchange: every GPU sends all that it has to all others.

    >>> one_shot_bytes(message_bytes=100, n_gpus=4)
    300
    """
    return (real(n_gpus) - 1) * message_bytes


def ring_bytes(message_bytes: Bytes, n_gpus: Count) -> Bytes:
    """All-reduce as a reduce-scatter and an all-gather, around a ring or directly. Source: Patarasuk and Yuan 2009.

    >>> ring_bytes(message_bytes=100, n_gpus=4)
    150.0
    """
    return 2 * share_bytes(message_bytes, n_gpus)


def in_switch_bytes(message_bytes: Bytes, n_gpus: Count) -> Bytes:
    """All-reduce where the switch adds: everything goes up once, and a GPU's share of the sum once more.

    >>> in_switch_bytes(message_bytes=100, n_gpus=4)
    125.0
    """
    return (real(n_gpus) + 1) / real(n_gpus) * message_bytes


# --- seconds of a collective -------------------------------------------------------------------------

def usable_link_bandwidth(link_bandwidth_per_direction: BytesPerSecond, n_gpus: Count, mesh_links: Count) -> BytesPerSecond:
    """What a GPU can send to the others of its group: all of it over a switch, in a mesh the links that lead to them.

    `mesh_links` is 1 where a switch joins the GPUs, else the links of a GPU, one to each neighbor.

    >>> usable_link_bandwidth(link_bandwidth_per_direction=448e9, n_gpus=4, mesh_links=7)
    192000000000.0
    """
    return link_bandwidth_per_direction * minimum(maximum(real(n_gpus) - 1, 1) / mesh_links, 1)


def transfer_seconds(hops: Count, hop_seconds: Seconds, moved_bytes: Bytes, usable_link_bandwidth: BytesPerSecond,
                     link_efficiency: Fraction) -> Seconds:
    """Hops, and then bytes at the bandwidth that a link really gives.

    >>> transfer_seconds(hops=3, hop_seconds=1, moved_bytes=50, usable_link_bandwidth=100, link_efficiency=0.5)
    4.0
    """
    return hops * hop_seconds + moved_bytes / (link_efficiency * usable_link_bandwidth)


def one_shot_seconds(message_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond, hop_seconds: Seconds,
                     link_efficiency: Fraction, one_shot_hops: Count, hops_per_peer: Count) -> Seconds:
    """All-reduce in one exchange, as a kernel of an engine: best for small messages.

    >>> one_shot_seconds(100, 3, 100, hop_seconds=1, link_efficiency=0.5, one_shot_hops=3, hops_per_peer=0.5)
    8.0
    """
    hops = one_shot_hops + (real(n_gpus) - 1) * hops_per_peer
    return transfer_seconds(hops, hop_seconds, one_shot_bytes(message_bytes, n_gpus), usable_link_bandwidth, link_efficiency)


def two_shot_seconds(message_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond, hop_seconds: Seconds,
                     link_efficiency: Fraction, two_shot_hops: Count, hops_per_peer: Count) -> Seconds:
    """All-reduce as reduce-scatter and all-gather, as a kernel of an engine: best for larger messages.

    >>> two_shot_seconds(150, 3, 100, hop_seconds=1, link_efficiency=0.5, two_shot_hops=8, hops_per_peer=0.5)
    13.0
    """
    hops = two_shot_hops + (real(n_gpus) - 1) * hops_per_peer
    return transfer_seconds(hops, hop_seconds, ring_bytes(message_bytes, n_gpus), usable_link_bandwidth, link_efficiency)


def in_switch_seconds(message_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond, hop_seconds: Seconds,
                      switch_efficiency: Fraction, in_switch_hops: Count, in_switch_above: Count) -> Seconds:
    """All-reduce in the switch; infinite for `in_switch_above` GPUs or fewer, where software does without it.

    >>> in_switch_seconds(80, 8, 100, hop_seconds=0, switch_efficiency=0.9, in_switch_hops=80, in_switch_above=4)
    1.0
    """
    seconds = transfer_seconds(in_switch_hops, hop_seconds, in_switch_bytes(message_bytes, n_gpus), usable_link_bandwidth,
                               switch_efficiency)
    return where_above(n_gpus, in_switch_above, seconds, inf * hop_seconds)


def all_reduce_seconds(n_gpus: Count, one_shot_seconds: Seconds, two_shot_seconds: Seconds,
                       in_switch_seconds: Seconds) -> Seconds:
    """All-reduce as engines do it inside a CUDA graph: the fastest of the three; nothing for one GPU.

    >>> all_reduce_seconds(n_gpus=8, one_shot_seconds=9, two_shot_seconds=7, in_switch_seconds=8)
    7
    """
    return where_above(n_gpus, 1, minimum(minimum(one_shot_seconds, two_shot_seconds), in_switch_seconds), 0)


def ring_seconds(rounds: Count, message_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond, hop_seconds: Seconds,
                 link_efficiency: Fraction, launch_hops: Count, bulk_hops: Count) -> Seconds:
    """A ring of the library, NCCL or RCCL: `rounds` is 1 for an all-gather or a reduce-scatter, 2 for an all-reduce.

    Each round is n - 1 steps of one hop. The protocol for small messages starts sooner and fills half of the link
    with data: 4 of 8 bytes are the flag that says that they are there. Source: NCCL, protocol LL.

    >>> round(ring_seconds(2, 512, 8, 450e9, hop_seconds=1e-6, link_efficiency=0.7, launch_hops=7, bulk_hops=28) * 1e6, 3)
    21.006
    """
    steps, moved = rounds * (real(n_gpus) - 1), rounds * share_bytes(message_bytes, n_gpus)
    low_latency = transfer_seconds(launch_hops + steps, hop_seconds, moved, usable_link_bandwidth, link_efficiency / 2)
    bulk = transfer_seconds(bulk_hops + steps, hop_seconds, moved, usable_link_bandwidth, link_efficiency)
    return where_above(n_gpus, 1, minimum(low_latency, bulk), 0)


def nccl_all_reduce_seconds(n_gpus: Count, ring_seconds: Seconds, in_switch_seconds: Seconds) -> Seconds:
    """All-reduce by the library, NCCL or RCCL: around the ring, or in the switch.

    >>> nccl_all_reduce_seconds(n_gpus=8, ring_seconds=9, in_switch_seconds=8)
    8
    """
    return where_above(n_gpus, 1, minimum(ring_seconds, in_switch_seconds), 0)


def all_to_all_seconds(message_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond, hop_seconds: Seconds,
                       link_efficiency: Fraction, exchange_hops: Count) -> Seconds:
    """All-to-all by the library: every GPU has a part for every other.

    >>> all_to_all_seconds(200, 2, 100, hop_seconds=1, link_efficiency=0.5, exchange_hops=12)
    14.0
    """
    moved = share_bytes(message_bytes, n_gpus)
    return where_above(n_gpus, 1, transfer_seconds(exchange_hops, hop_seconds, moved, usable_link_bandwidth, link_efficiency), 0)


def point_to_point_seconds(message_bytes: Bytes, link_bandwidth_per_direction: BytesPerSecond, hop_seconds: Seconds,
                           link_efficiency: Fraction, exchange_hops: Count) -> Seconds:
    """A message from one GPU to another.

    >>> point_to_point_seconds(100, 100, hop_seconds=1, link_efficiency=0.5, exchange_hops=12)
    14.0
    """
    return transfer_seconds(exchange_hops, hop_seconds, message_bytes, link_bandwidth_per_direction, link_efficiency)
