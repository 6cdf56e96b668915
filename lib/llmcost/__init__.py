"""What a token costs: formulas, facts and predictions of large-model inference.

>>> from llmcost import attention
>>> attention.kv_bytes_per_token(n_layers=80, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
327680
"""

__version__ = "0.1.0"
