"""The U-Nets: Stable Diffusion 1, 2 and XL, pocket, and what was made of them (Kolors, AnimateDiff)."""

from collections.abc import Iterator, Mapping

from loraleak.families.family import Family, Layer, same, within

__all__ = ["ANIMATEDIFF", "KOLORS", "POCKET", "SD1", "SD2", "SDXL"]

_RESNET: dict[str, Layer | str] = {
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {
    **same("proj_{in,out}", "transformer_blocks.#.attn{1,2}.to_{q,k,v,out.0}"),
    **same("transformer_blocks.#.ff.net.{0.proj,2}"),
}
_LOOSE: dict[str, Layer | str] = {
    "input_blocks.0.0": "conv_in",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
}
_MIDDLE = {
    **within("middle_block.0", "mid_block.resnets.0", _RESNET),
    **within("middle_block.1", "mid_block.attentions.0", _ATTENTION),
    **within("middle_block.2", "mid_block.resnets.1", _RESNET),
}


def _unet(down: tuple[bool, ...]) -> Iterator[tuple[str, str, Mapping[str, Layer | str]]]:
    """Original place, place in diffusers' U-Net, and the layers within. `down` tells which blocks have attention."""
    last = len(down) - 1
    for block, attends in enumerate(down):
        for layer in range(2):
            place = 3 * block + layer + 1
            yield f"input_blocks.{place}.0", f"down_blocks.{block}.resnets.{layer}", _RESNET
            if attends:
                yield f"input_blocks.{place}.1", f"down_blocks.{block}.attentions.{layer}", _ATTENTION
        if block < last:
            yield f"input_blocks.{3 * block + 3}.0", f"down_blocks.{block}.downsamplers.0", {"op": "conv"}
    for block, attends in enumerate(reversed(down)):
        for layer in range(3):
            yield f"output_blocks.{3 * block + layer}.0", f"up_blocks.{block}.resnets.{layer}", _RESNET
            if attends:
                yield f"output_blocks.{3 * block + layer}.1", f"up_blocks.{block}.attentions.{layer}", _ATTENTION
        if block < last:
            yield f"output_blocks.{3 * block + 2}.{1 + attends}", f"up_blocks.{block}.upsamplers.0", {"conv": "conv"}


def _table(down: tuple[bool, ...]) -> dict[str, Layer | str]:
    found = _LOOSE | _MIDDLE
    for old, new, layers in _unet(down):
        found |= within(old, new, layers)
    return found


_FOUR = _table((True, True, True, False))
_THREE = _table((False, True, True)) | {
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
}


def _states(*widths: int) -> dict[str, frozenset[int]]:
    """The prompt's states are as wide as this."""
    return {r".*attn2\.to_[kv]": frozenset(widths)}


_OWN_CHANNELS = {
    r"(down_blocks\.0|up_blocks\.3)\.attentions\..*attn1\.to_[qkv]": frozenset({320}),
    r"(down_blocks\.1|up_blocks\.2)\.attentions\..*attn1\.to_[qkv]": frozenset({640}),
    r"(down_blocks\.2|up_blocks\.1|mid_block)\.attentions\..*attn1\.to_[qkv]": frozenset({1280}),
}
_XL_CHANNELS = {
    r"(down_blocks\.1|up_blocks\.1)\.attentions\..*attn1\.to_[qkv]": frozenset({640}),
    r"(down_blocks\.2|up_blocks\.0|mid_block)\.attentions\..*attn1\.to_[qkv]": frozenset({1280}),
}
_ONE_BLOCK = {r".*\.transformer_blocks": (1,)}

SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    component="unet",
    layers=_FOUR,
    widths=_states(768) | _OWN_CHANNELS,
    blocks=_ONE_BLOCK,
    encoders={"text_encoder": frozenset({768})},
    header=r"sd_?v?1(?!\d)|sd15|stable-diffusion-v1|sd_1",
    pipelines=("StableDiffusionPipeline",),
    writes={"kohya": "diffusers", "comfyui": "original"},
)
SD2 = Family(
    name="sd2",
    title="Stable Diffusion 2.x",
    component="unet",
    layers=_FOUR,
    widths=_states(1024) | _OWN_CHANNELS,
    blocks=_ONE_BLOCK,
    encoders={"text_encoder": frozenset({1024})},
    header=r"sd_?v?2(?!\d)|sd21|stable-diffusion-v2|sd_2",
    pipelines=("StableDiffusionPipeline",),
    writes={"kohya": "diffusers", "comfyui": "original"},
)
SDXL = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    component="unet",
    layers=_THREE,
    widths=_states(2048) | _XL_CHANNELS,
    blocks={
        r"(?:down_blocks\.1|up_blocks\.1)\.attentions\.\d+\.transformer_blocks": (2,),
        r"(?:down_blocks\.2|up_blocks\.0|mid_block)\.attentions\.\d+\.transformer_blocks": (10,),
    },
    encoders={"text_encoder": frozenset({768}), "text_encoder_2": frozenset({1280})},
    header=r"sd_?xl|stable-diffusion-xl|illustrious|pony|noobai",
    pipelines=("StableDiffusionXLPipeline",),
    writes={"kohya": "original", "comfyui": "original"},
)
KOLORS = Family(
    name="kolors",
    title="Kolors",
    component="unet",
    layers=_THREE | same("encoder_hid_proj"),
    widths=_states(2048) | _XL_CHANNELS | {"encoder_hid_proj": frozenset({4096})},
    encoders={"text_encoder": frozenset({4096})},
    header=r"kolors",
    pipelines=("KolorsPipeline",),
    variant=True,
    own=r"encoder_hid_proj",
)
POCKET = Family(
    name="pocket",
    title="pocket",
    component="unet",
    layers=_table((True, True, True, True)),
    widths=_states(128),
    encoders={"text_encoder": frozenset({128})},
    header=r"pocket",
    writes={"kohya": "diffusers", "comfyui": "original"},
    variant=True,
)

_MOTION = {
    **same("proj_{in,out}", "transformer_blocks.#.ff.net.{0.proj,2}"),
    "transformer_blocks.#.attention_blocks.0.to_{q,k,v,out.0}": "transformer_blocks.#.attn1.to_{q,k,v,out.0}",
    "transformer_blocks.#.attention_blocks.1.to_{q,k,v,out.0}": "transformer_blocks.#.attn2.to_{q,k,v,out.0}",
}
ANIMATEDIFF = Family(
    name="animatediff",
    title="AnimateDiff",
    component="unet",
    layers={
        **within("down_blocks.#.motion_modules.#.temporal_transformer", "down_blocks.#.motion_modules.#", _MOTION),
        **within("up_blocks.#.motion_modules.#.temporal_transformer", "up_blocks.#.motion_modules.#", _MOTION),
        **within("mid_block.motion_modules.#.temporal_transformer", "mid_block.motion_modules.#", _MOTION),
    },
    header=r"animatediff|motion",
    pipelines=("AnimateDiffPipeline",),
)
