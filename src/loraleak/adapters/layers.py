"""Names of layers: what kohya flattened, and what the models' original code calls them, as paths in diffusers' models.

Dots that were flattened to `_` are not guessed at: the names of all layers of Stable Diffusion 1, 2, XL and 3, of Flux and of their
text encoders are spelled out, and looked up. A name that is not among them stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

__all__ = ["Layer", "dotted", "flattened", "original_names", "place"]

_DEEPEST = 10
"""Transformer blocks one after the other in SDXL's lowest resolution."""
_JOINT_BLOCKS = 38
_TEXT_LAYERS = 32


@dataclass(frozen=True)
class Layer:
    """One layer of a model's original code: the layers of diffusers' model that share its rows."""

    targets: tuple[str, ...]
    """Dotted paths, the component first."""
    shares: tuple[int, ...] = (1,)
    """How many parts of the rows each target has."""
    swapped: bool = False
    """Shift and scale stand in the other order where the layer gives just these two, that is, two rows for a column."""


def flattened(component: str, stem: str) -> str | None:
    """The module behind a flattened name, as `place` takes it; None where no layer that we know has this name."""
    if component in ("unet", "transformer"):
        return _flat_images().get(stem)
    path = _flat_texts().get(stem)
    return None if path is None else f"{component}.{path}"


def dotted(path: str) -> str | None:
    """The module behind a path in the original code or in diffusers' model, without component; None for a path that is in neither."""
    return _dotted().get(path)


def place(module: str) -> Layer:
    """Places of a module's rows in diffusers' model: itself, for all but the few that diffusers cuts or turns round."""
    return _composed().get(module) or Layer((module,))


@cache
def original_names(family: str) -> Mapping[Layer, str]:
    """Original paths without component by layer, for a family of bases."""
    transformers = {"flux": _FLUX, "sd3": _SD3}
    # SDXL has attention, and so one more layer, before the upsampler of its first block.
    strangers = {"output_blocks.2.1.conv" if family == "sdxl" else "output_blocks.2.2.conv"}
    return {
        layer: path
        for path, layer in _originals().items()
        if path not in strangers
        and (layer.targets[0].startswith("unet.") or path.startswith(transformers.get(family, ("no transformer",))))
    }


_FLUX = ("double_blocks.", "single_blocks.", "img_in", "txt_in", "time_in.", "vector_in.", "guidance_in.", "final_layer.")
_SD3 = ("joint_blocks.", "x_embedder.", "context_embedder", "t_embedder.", "y_embedder.", "final_layer.")

_RESNET = {
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {
    leaf: leaf
    for leaf in (
        "proj_in",
        "proj_out",
        *(
            f"transformer_blocks.{depth}.{inner}"
            for depth in range(_DEEPEST)
            for inner in (
                *(f"attn{n}.{side}" for n in (1, 2) for side in ("to_q", "to_k", "to_v", "to_out.0")),
                "ff.net.0.proj",
                "ff.net.2",
            )
        ),
    )
}
_UNET_LOOSE = {
    "input_blocks.0.0": "conv_in",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
}


def _unet_blocks() -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Original place, place in diffusers' U-Net, and the names within."""
    for block in range(4):
        for layer in range(2):
            yield f"input_blocks.{3 * block + layer + 1}.0", f"down_blocks.{block}.resnets.{layer}", _RESNET
            yield f"input_blocks.{3 * block + layer + 1}.1", f"down_blocks.{block}.attentions.{layer}", _ATTENTION
        yield f"input_blocks.{3 * block + 3}.0", f"down_blocks.{block}.downsamplers.0", {"op": "conv"}
        for layer in range(3):
            yield f"output_blocks.{3 * block + layer}.0", f"up_blocks.{block}.resnets.{layer}", _RESNET
            yield f"output_blocks.{3 * block + layer}.1", f"up_blocks.{block}.attentions.{layer}", _ATTENTION
        for slot in (1, 2):
            yield f"output_blocks.{3 * block + 2}.{slot}", f"up_blocks.{block}.upsamplers.0", {"conv": "conv"}
    yield "middle_block.0", "mid_block.resnets.0", _RESNET
    yield "middle_block.1", "mid_block.attentions.0", _ATTENTION
    yield "middle_block.2", "mid_block.resnets.1", _RESNET


_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_THIRDS = (1, 1, 1)

_DOUBLE = {
    "img_attn.qkv": Layer(_QKV, _THIRDS),
    "img_attn.proj": Layer(("attn.to_out.0",)),
    "img_mlp.0": Layer(("ff.net.0.proj",)),
    "img_mlp.2": Layer(("ff.net.2",)),
    "img_mod.lin": Layer(("norm1.linear",)),
    "txt_attn.qkv": Layer(_ADDED_QKV, _THIRDS),
    "txt_attn.proj": Layer(("attn.to_add_out",)),
    "txt_mlp.0": Layer(("ff_context.net.0.proj",)),
    "txt_mlp.2": Layer(("ff_context.net.2",)),
    "txt_mod.lin": Layer(("norm1_context.linear",)),
}
_SINGLE = {
    "linear1": Layer((*_QKV, "proj_mlp"), (1, 1, 1, 4)),
    "linear2": Layer(("proj_out",)),
    "modulation.lin": Layer(("norm.linear",)),
}
_JOINT = {
    "x_block.attn.qkv": Layer(_QKV, _THIRDS),
    "x_block.attn.proj": Layer(("attn.to_out.0",)),
    "x_block.attn2.qkv": Layer(("attn2.to_q", "attn2.to_k", "attn2.to_v"), _THIRDS),
    "x_block.attn2.proj": Layer(("attn2.to_out.0",)),
    "x_block.mlp.fc1": Layer(("ff.net.0.proj",)),
    "x_block.mlp.fc2": Layer(("ff.net.2",)),
    "x_block.adaLN_modulation.1": Layer(("norm1.linear",)),
    "context_block.attn.qkv": Layer(_ADDED_QKV, _THIRDS),
    "context_block.attn.proj": Layer(("attn.to_add_out",)),
    "context_block.mlp.fc1": Layer(("ff_context.net.0.proj",)),
    "context_block.mlp.fc2": Layer(("ff_context.net.2",)),
    "context_block.adaLN_modulation.1": Layer(("norm1_context.linear",), swapped=True),
}
_TRANSFORMER_LOOSE = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}


@cache
def _originals() -> Mapping[str, Layer]:
    """Layers by their names in the original code."""
    found = {old: Layer((f"unet.{new}",)) for old, new in _UNET_LOOSE.items()}
    for old, new, within in _unet_blocks():
        found |= {f"{old}.{inner}": Layer((f"unet.{new}.{leaf}",)) for inner, leaf in within.items()}
    found |= {old: Layer((f"transformer.{new}",)) for old, new in _TRANSFORMER_LOOSE.items()}
    found["final_layer.adaLN_modulation.1"] = Layer(("transformer.norm_out.linear",), swapped=True)
    for old, new, table in (
        ("joint_blocks", "transformer_blocks", _JOINT),
        ("double_blocks", "transformer_blocks", _DOUBLE),
        ("single_blocks", "single_transformer_blocks", _SINGLE),
    ):
        for i in range(_JOINT_BLOCKS):
            for inner, layer in table.items():
                targets = tuple(f"transformer.{new}.{i}.{target}" for target in layer.targets)
                found[f"{old}.{i}.{inner}"] = Layer(targets, layer.shares, layer.swapped)
    return found


@cache
def _dotted() -> Mapping[str, str]:
    """Modules by original path and by diffusers' path; what diffusers composes otherwise keeps its original path."""
    found = {}
    for path, layer in _originals().items():
        plain = len(layer.targets) == 1 and not layer.swapped
        found[path] = layer.targets[0] if plain else f"transformer.{path}"
    targets = {target for layer in _originals().values() for target in layer.targets}
    return {target.partition(".")[2]: target for target in sorted(targets)} | found


@cache
def _composed() -> Mapping[str, Layer]:
    return {f"transformer.{path}": layer for path, layer in _originals().items() if len(layer.targets) > 1 or layer.swapped}


@cache
def _flat_images() -> Mapping[str, str]:
    return {path.replace(".", "_"): module for path, module in _dotted().items()}


@cache
def _flat_texts() -> Mapping[str, str]:
    clip = [f"self_attn.{side}_proj" for side in ("q", "k", "v", "out")] + ["mlp.fc1", "mlp.fc2"]
    t5 = [f"0.SelfAttention.{side}" for side in "qkvo"] + [f"1.DenseReluDense.{side}" for side in ("wi", "wi_0", "wi_1", "wo")]
    paths = [f"text_model.encoder.layers.{i}.{leaf}" for i in range(_TEXT_LAYERS) for leaf in clip]
    paths += [f"encoder.block.{i}.layer.{leaf}" for i in range(_TEXT_LAYERS) for leaf in t5]
    return {path.replace(".", "_"): path for path in (*paths, "text_projection")}
