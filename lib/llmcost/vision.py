"""Parameters of the vision towers whose publishers count them in, so that a printed count can be met.

The book prices text alone: `llmcost.shapes` leaves the tower out. Its size is computed here, from the same
`config.json`, to say how much of a published count it is.
"""

from collections.abc import Mapping

from .config_fields import ConfigError, Fields


def linear_params(inputs: int, outputs: int, bias: bool = True) -> int:
    """Weights of one linear layer.

    >>> linear_params(3, 4), linear_params(3, 4, bias=False)
    (16, 12)
    """
    return inputs * outputs + bias * outputs


def block_params(width: int, d_ff: int) -> int:
    """Weights of one block of a vision transformer: four projections, a plain MLP, two norms, all with biases.

    >>> block_params(width=1408, d_ff=5632)
    23807872
    """
    return 4 * linear_params(width, width) + linear_params(width, d_ff) + linear_params(d_ff, width) + 4 * width


def _llama4(vision: Fields, d_model: int) -> int:
    width, patch, hidden = vision.whole("hidden_size"), vision.whole("patch_size"), vision.whole("intermediate_size")
    out, depth = vision.whole("projector_output_dim"), vision.whole("num_hidden_layers")
    positions = (vision.whole("image_size") // patch) ** 2 + 1
    stem = linear_params(3 * patch * patch, width, bias=False) + width + positions * width + 4 * width
    adapter = hidden * out + out * out  # four patches become one
    return depth * block_params(width, hidden) + stem + adapter + out * d_model


def _qwen(vision: Fields, d_model: int) -> int:
    width, patch = vision.whole("hidden_size"), vision.whole("patch_size")
    merged = width * vision.whole("spatial_merge_size") ** 2
    values = 3 * vision.whole("temporal_patch_size") * patch * patch
    stem = linear_params(values, width) + vision.whole("num_position_embeddings") * width
    merger = 2 * width + linear_params(merged, merged) + linear_params(merged, vision.whole("out_hidden_size"))
    return vision.whole("depth") * block_params(width, vision.whole("intermediate_size")) + stem + merger


def _clip(vision: Fields, d_model: int) -> int:
    width, patch, joined = vision.whole("hidden_size"), vision.whole("patch_size"), vision.whole("projection_dim")
    merging = vision.within("img_token_compression_config")
    values = 3 * merging.whole("temporal_patch_size") * patch * patch
    stem = linear_params(values, width, bias=False) + 2 * width
    projector = linear_params(width, joined) + linear_params(joined, joined)
    merger = linear_params(joined * merging.whole("spatial_merge_size") ** 2, joined) + linear_params(joined, joined)
    return (vision.whole("num_hidden_layers") * block_params(width, vision.whole("intermediate_size")) + stem
            + projector + merger)


TOWERS = {"llama4_vision_model": _llama4, "qwen3_5_moe": _qwen, "clip_vision_model": _clip}


def vision_params(config: Mapping, d_model: int) -> int:
    """Parameters of the vision tower of `config` and of what joins it to a decoder of width `d_model`.

    Raises `ConfigError` where the config has no tower, or one that the book does not know.
    """
    vision = Fields(config).within("vision_config")
    if vision.get("model_type") not in TOWERS:
        raise ConfigError(f"{vision.place} has model_type = {vision.get('model_type')!r}; the book knows {', '.join(TOWERS)}")
    return TOWERS[vision.get("model_type")](vision, d_model)
