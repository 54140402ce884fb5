"""Transformers with blocks of two streams, image and text: Stable Diffusion 3, Flux.1, Chroma, Flux.2, HunyuanVideo, AuraFlow."""

from loraleak.families.family import Family, Layer, same, within

__all__ = ["AURAFLOW", "CHROMA", "FLUX", "FLUX2", "HUNYUAN_VIDEO", "SD3"]

_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_THIRDS = (1, 1, 1)
_CLIP_L, _CLIP_G, _T5 = frozenset({768}), frozenset({1280}), frozenset({4096})


def _hidden(*widths: int) -> dict[str, frozenset[int]]:
    """Columns of the attention's layers."""
    return {r".*attn2?\.(to_[qkv]|add_[qkv]_proj|to_add_out|to_qkv_mlp_proj)": frozenset(widths)}


_JOINT: dict[str, Layer | str] = {
    "x_block.attn.qkv": Layer(_QKV, _THIRDS),
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.qkv": Layer(("attn2.to_q", "attn2.to_k", "attn2.to_v"), _THIRDS),
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "context_block.attn.qkv": Layer(_ADDED_QKV, _THIRDS),
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    "context_block.adaLN_modulation.1": Layer(("norm1_context.linear",), swapped=True),
}
SD3 = Family(
    name="sd3",
    title="Stable Diffusion 3",
    layers={
        **within("joint_blocks.#", "transformer_blocks.#", _JOINT),
        "x_embedder.proj": "pos_embed.proj",
        "context_embedder": "context_embedder",
        "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
        "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": Layer(("norm_out.linear",), swapped=True),
    },
    widths=_hidden(1536, 2432),
    blocks={"transformer_blocks": (24, 38)},
    encoders={"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G, "text_encoder_3": _T5},
    header=r"sd_?v?3|stable-diffusion-v?3|sd3",
    pipelines=("StableDiffusion3Pipeline",),
    writes={"kohya": "original", "comfyui": "original"},
    t5="text_encoder_3",
)


def _double(attention: str, mlp: tuple[str, str], feed: tuple[str, str], gate: float) -> dict[str, Layer | str]:
    """Both streams' layers; `attention` stands between `attn` and the layer, `gate` is how many rows for a column the mlp has."""
    found: dict[str, Layer | str] = {}
    for side, qkv, out, context in (("img", _QKV, "attn.to_out.0", ""), ("txt", _ADDED_QKV, "attn.to_add_out", "_context")):
        found |= {
            f"{side}_attn{attention}qkv": Layer(qkv, _THIRDS),
            f"{side}_attn{attention}proj": out,
            f"{side}_mlp.{mlp[0]}": Layer((f"ff{context}.{feed[0]}",), ratio=gate),
            f"{side}_mlp.{mlp[1]}": Layer(
                (f"ff{context}.{feed[1]}",), ratio=1 / (gate if feed[0] != "linear_in" else gate / 2)
            ),
        }
    return found


_FLUX_DOUBLE = _double(".", ("0", "2"), ("net.0.proj", "net.2"), 4.0)
_FLUX_SINGLE: dict[str, Layer | str] = {
    "linear1": Layer((*_QKV, "proj_mlp"), (1, 1, 1, 4), ratio=7.0),
    "linear2": Layer(("proj_out",), ratio=1 / 5),
}
_FLUX_LOOSE: dict[str, Layer | str] = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "final_layer.linear": "proj_out",
}
FLUX = Family(
    name="flux",
    title="Flux.1",
    layers={
        **within("double_blocks.#", "transformer_blocks.#", _FLUX_DOUBLE),
        **within(
            "double_blocks.#", "transformer_blocks.#", {"img_mod.lin": "norm1.linear", "txt_mod.lin": "norm1_context.linear"}
        ),
        **within("single_blocks.#", "single_transformer_blocks.#", _FLUX_SINGLE | {"modulation.lin": "norm.linear"}),
        **within("single_blocks.#", "single_transformer_blocks.#", {"qkv": Layer(_QKV, _THIRDS)}),  # XLabs' alone
        **_FLUX_LOOSE,
        "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
        "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
        "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
        "final_layer.adaLN_modulation.1": Layer(("norm_out.linear",), swapped=True),
    },
    widths=_hidden(3072),
    blocks={"transformer_blocks": (19,), "single_transformer_blocks": (38,)},
    encoders={"text_encoder": _CLIP_L, "text_encoder_2": _T5},
    header=r"flux[._-]?1|flux(?![._-]?\d)",
    pipelines=("FluxPipeline",),
    writes={"kohya": "original", "comfyui": "original"},
    t5="text_encoder_2",
)
CHROMA = Family(
    name="chroma",
    title="Chroma",
    layers={
        **within("double_blocks.#", "transformer_blocks.#", _FLUX_DOUBLE),
        **within("single_blocks.#", "single_transformer_blocks.#", _FLUX_SINGLE),
        **_FLUX_LOOSE,
        **same("distilled_guidance_layer.{in,out}_proj"),
        "distilled_guidance_layer.layers.#.in_layer": "distilled_guidance_layer.layers.#.linear_1",
        "distilled_guidance_layer.layers.#.out_layer": "distilled_guidance_layer.layers.#.linear_2",
    },
    widths=_hidden(3072),
    blocks={"transformer_blocks": (19,), "single_transformer_blocks": (38,)},
    encoders={"text_encoder": _T5},
    header=r"chroma",
    pipelines=("ChromaPipeline",),
    writes={"kohya": "original", "comfyui": "original"},
    t5="text_encoder",
)
FLUX2 = Family(
    name="flux2",
    title="Flux.2",
    layers={
        **within("double_blocks.#", "transformer_blocks.#", _double(".", ("0", "2"), ("linear_in", "linear_out"), 6.0)),
        **within(
            "single_blocks.#",
            "single_transformer_blocks.#",
            {"linear1": Layer(("attn.to_qkv_mlp_proj",), ratio=9.0), "linear2": Layer(("attn.to_out",), ratio=1 / 4)},
        ),
        **_FLUX_LOOSE,
        "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
        "guidance_in.in_layer": "time_guidance_embed.guidance_embedder.linear_1",
        "guidance_in.out_layer": "time_guidance_embed.guidance_embedder.linear_2",
        "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
        "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
        "single_stream_modulation.lin": "single_stream_modulation.linear",
        "final_layer.adaLN_modulation.1": Layer(("norm_out.linear",), swapped=True),
    },
    widths=_hidden(3072, 4096, 6144),
    blocks={"transformer_blocks": (5, 8), "single_transformer_blocks": (20, 24, 48)},
    encoders={"text_encoder": frozenset({2560, 4096, 5120})},
    header=r"flux[._-]?2",
    pipelines=("Flux2Pipeline", "Flux2KleinPipeline"),
    writes={"kohya": "original", "comfyui": "original"},
)

_REFINER: dict[str, Layer | str] = {
    "self_attn_qkv": Layer(_QKV, _THIRDS),
    "self_attn.qkv": Layer(_QKV, _THIRDS),
    "self_attn_proj": "attn.to_out.0",
    "self_attn.proj": "attn.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
    "mlp.0": "ff.net.0.proj",
    "mlp.2": "ff.net.2",
    "adaLN_modulation.1": "norm_out.linear",
}
_HUNYUAN_TEXT = {
    "txt_in.input_embedder": "context_embedder.proj_in",
    "txt_in.t_embedder.mlp.0": "context_embedder.time_text_embed.timestep_embedder.linear_1",
    "txt_in.t_embedder.mlp.2": "context_embedder.time_text_embed.timestep_embedder.linear_2",
    "txt_in.c_embedder.linear_1": "context_embedder.time_text_embed.text_embedder.linear_1",
    "txt_in.c_embedder.linear_2": "context_embedder.time_text_embed.text_embedder.linear_2",
}


# ComfyUI calls the layers as Flux does, and loads them under their original names too.
_HUNYUAN_DOUBLE = {
    **_double("_", ("fc1", "fc2"), ("net.0.proj", "net.2"), 4.0),
    **{"img_mod.linear": "norm1.linear", "txt_mod.linear": "norm1_context.linear"},
    **_FLUX_DOUBLE,
    **{"img_mod.lin": "norm1.linear", "txt_mod.lin": "norm1_context.linear"},
}
_HUNYUAN_SINGLE = _FLUX_SINGLE | {"modulation.linear": "norm.linear", "modulation.lin": "norm.linear"}

HUNYUAN_VIDEO = Family(
    name="hunyuan-video",
    title="HunyuanVideo",
    layers={
        **within("double_blocks.#", "transformer_blocks.#", _HUNYUAN_DOUBLE),
        **within("single_blocks.#", "single_transformer_blocks.#", _HUNYUAN_SINGLE),
        **within("txt_in.individual_token_refiner.blocks.#", "context_embedder.token_refiner.refiner_blocks.#", _REFINER),
        **_HUNYUAN_TEXT,
        "img_in.proj": "x_embedder.proj",
        "time_in.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "time_in.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
        "guidance_in.mlp.0": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in.mlp.2": "time_text_embed.guidance_embedder.linear_2",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": Layer(("norm_out.linear",), swapped=True),
    },
    widths=_hidden(2048, 3072),
    blocks={"transformer_blocks": (20, 54), "single_transformer_blocks": (40,)},
    encoders={"text_encoder": _T5, "text_encoder_2": _CLIP_L},
    header=r"hunyuan[_-]?video|hunyuan",
    pipelines=("HunyuanVideoPipeline",),
    writes={"kohya": "original", "comfyui": "original"},
)

_AURA_DOUBLE: dict[str, Layer | str] = {
    "attn.w2{q,k,v}": "attn.to_{q,k,v}",
    "attn.w2o": "attn.to_out.0",
    "attn.w1{q,k,v}": "attn.add_{q,k,v}_proj",
    "attn.w1o": "attn.to_add_out",
    "mlpX.{c_fc1,c_fc2,c_proj}": "ff.{linear_1,linear_2,out_projection}",
    "mlpC.{c_fc1,c_fc2,c_proj}": "ff_context.{linear_1,linear_2,out_projection}",
    "mod{X,C}.1": "{norm1,norm1_context}.linear",
}
_AURA_SINGLE: dict[str, Layer | str] = {
    "attn.w1{q,k,v}": "attn.to_{q,k,v}",
    "attn.w1o": "attn.to_out.0",
    "mlp.{c_fc1,c_fc2,c_proj}": "ff.{linear_1,linear_2,out_projection}",
    "modCX.1": "norm1.linear",
}
AURAFLOW = Family(
    name="auraflow",
    title="AuraFlow",
    layers={
        **within("double_layers.#", "joint_transformer_blocks.#", _AURA_DOUBLE),
        **within("single_layers.#", "single_transformer_blocks.#", _AURA_SINGLE),
        "cond_seq_linear": "context_embedder",
        "t_embedder.mlp.0": "time_step_proj.linear_1",
        "t_embedder.mlp.2": "time_step_proj.linear_2",
        "init_x_linear": "pos_embed.proj",
        "final_linear": "proj_out",
        "modF.1": Layer(("norm_out.linear",), swapped=True),
    },
    widths=_hidden(3072),
    blocks={"joint_transformer_blocks": (4,), "single_transformer_blocks": (32,)},
    header=r"aura[_-]?flow",
    pipelines=("AuraFlowPipeline",),
    writes={"comfyui": "original"},
)
