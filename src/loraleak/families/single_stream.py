"""Transformers for images with blocks of one kind: Qwen-Image, Z-Image, Lumina 2, Sana, PixArt, Anima, Krea 2, HiDream, Cascade."""

from loraleak.families.family import Family, Layer, same, within

__all__ = ["ANIMA", "CASCADE", "HIDREAM", "KREA2", "LUMINA2", "PIXART", "QWEN_IMAGE", "SANA", "Z_IMAGE"]

_T5 = frozenset({4096})
_TIMESTEP = same("time_text_embed.timestep_embedder.linear_{1,2}")

QWEN_IMAGE = Family(
    name="qwen-image",
    title="Qwen-Image",
    layers={
        **same("transformer_blocks.#.attn.{to_q,to_k,to_v,to_out.0,add_q_proj,add_k_proj,add_v_proj,to_add_out}"),
        **same("transformer_blocks.#.{img,txt}_mlp.net.{0.proj,2}", "transformer_blocks.#.{img,txt}_mod.1"),
        **same("img_in", "txt_in", "proj_out", "norm_out.linear"),
        **_TIMESTEP,
    },
    widths={r".*attn\.(to_[qkv]|add_[qkv]_proj|to_add_out)": frozenset({3072})},
    blocks={"transformer_blocks": (60,)},
    encoders={"text_encoder": frozenset({3584})},
    header=r"qwen",
    pipelines=("QwenImagePipeline",),
    writes={"kohya": "diffusers", "comfyui": "diffusers"},
)

_Z_BLOCK: dict[str, Layer | str] = {
    "attention.qkv": Layer(("attention.to_q", "attention.to_k", "attention.to_v"), (1, 1, 1), ratio=3.0),
    "attention.out": "attention.to_out.0",
    "feed_forward.w{1,2,3}": "feed_forward.w{1,2,3}",
}
_Z_MODULATED = _Z_BLOCK | {"adaLN_modulation.0": "adaLN_modulation.0"}
Z_IMAGE = Family(
    name="z-image",
    title="Z-Image",
    layers={
        **within("layers.#", "layers.#", _Z_MODULATED),
        **within("noise_refiner.#", "noise_refiner.#", _Z_MODULATED),
        **within("context_refiner.#", "context_refiner.#", _Z_BLOCK),
        **same("cap_embedder.1", "t_embedder.mlp.{0,2}"),
        "x_embedder": "all_x_embedder.2-1",
        "final_layer.linear": "all_final_layer.2-1.linear",
        "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    },
    widths={r"(layers|noise_refiner|context_refiner)\.\d+\.(attention\.to_[qkv]|feed_forward\.w[13])": frozenset({3840})},
    blocks={"layers": (30,), "noise_refiner": (2,), "context_refiner": (2,)},
    encoders={"text_encoder": frozenset({2560})},
    header=r"z[_-]?image",
    pipelines=("ZImagePipeline",),
    writes={"kohya": "diffusers", "comfyui": "diffusers"},
)

_LUMINA_BLOCK: dict[str, Layer | str] = {
    "attention.qkv": Layer(("attn.to_q", "attn.to_k", "attn.to_v"), (3, 1, 1), ratio=5 / 3),
    "attention.out": "attn.to_out.0",
    "feed_forward.w{1,2,3}": "feed_forward.linear_{1,2,3}",
}
_LUMINA_MODULATED = _LUMINA_BLOCK | {"adaLN_modulation.1": "norm1.linear"}
LUMINA2 = Family(
    name="lumina2",
    title="Lumina 2",
    layers={
        **within("layers.#", "layers.#", _LUMINA_MODULATED),
        **within("noise_refiner.#", "noise_refiner.#", _LUMINA_MODULATED),
        **within("context_refiner.#", "context_refiner.#", _LUMINA_BLOCK),
        "x_embedder": "x_embedder",
        "cap_embedder.1": "time_caption_embed.caption_embedder.1",
        "t_embedder.mlp.0": "time_caption_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_caption_embed.timestep_embedder.linear_2",
        "final_layer.linear": "norm_out.linear_2",
        "final_layer.adaLN_modulation.1": "norm_out.linear_1",
    },
    widths={r"(layers|noise_refiner|context_refiner)\.\d+\.(attn\.to_[qkv]|feed_forward\.linear_[13])": frozenset({2304})},
    blocks={"layers": (26,), "noise_refiner": (2,), "context_refiner": (2,)},
    encoders={"text_encoder": frozenset({2304})},
    header=r"lumina",
    pipelines=("Lumina2Pipeline",),
    writes={"kohya": "original", "comfyui": "original"},
)

_ATTENTIONS = "transformer_blocks.#.attn{1,2}.to_{q,k,v,out.0}"
_CAPTION = same("caption_projection.linear_{1,2}")
SANA = Family(
    name="sana",
    title="Sana",
    layers={
        **same(_ATTENTIONS, "transformer_blocks.#.ff.conv_{inverted,depth,point}", "patch_embed.proj", "proj_out"),
        **same("time_embed.emb.timestep_embedder.linear_{1,2}", "time_embed.linear"),
        **_CAPTION,
    },
    widths={r".*attn[12]\.to_[qkv]": frozenset({1152, 2240})},
    blocks={"transformer_blocks": (20, 28, 60)},
    encoders={"text_encoder": frozenset({2304})},
    header=r"sana",
    pipelines=("SanaPipeline",),
)
PIXART = Family(
    name="pixart",
    title="PixArt",
    layers={
        **same(_ATTENTIONS, "transformer_blocks.#.ff.net.{0.proj,2}", "pos_embed.proj", "proj_out", "adaln_single.linear"),
        **same("adaln_single.emb.{timestep,resolution,aspect_ratio}_embedder.linear_{1,2}"),
        **_CAPTION,
    },
    widths={r".*attn[12]\.to_[qkv]": frozenset({1152})},
    blocks={"transformer_blocks": (28,)},
    encoders={"text_encoder": _T5},
    header=r"pixart",
    pipelines=("PixArtSigmaPipeline", "PixArtAlphaPipeline"),
)

ANIMA = Family(
    name="anima",
    title="Anima",
    layers={
        **within(
            "blocks.#",
            "transformer_blocks.#",
            {
                "self_attn.{q,k,v,output}_proj": "attn1.to_{q,k,v,out.0}",
                "cross_attn.{q,k,v,output}_proj": "attn2.to_{q,k,v,out.0}",
                "mlp.layer{1,2}": "ff.net.{0.proj,2}",
                "adaln_modulation_self_attn.{1,2}": "norm1.linear_{1,2}",
                "adaln_modulation_cross_attn.{1,2}": "norm2.linear_{1,2}",
                "adaln_modulation_mlp.{1,2}": "norm3.linear_{1,2}",
            },
        ),
        "final_layer.linear": "proj_out",
        "final_layer.adaln_modulation.1": "norm_out.linear_1",
        "final_layer.adaln_modulation.2": "norm_out.linear_2",
        "t_embedder.1.linear_1": "time_embed.t_embedder.linear_1",
        "t_embedder.1.linear_2": "time_embed.t_embedder.linear_2",
        "x_embedder.proj.1": "patch_embed.proj",
    },
    widths={
        r".*attn1\.to_[qkv]": frozenset({2048}),
        r".*attn2\.to_q": frozenset({2048}),
        r".*attn2\.to_[kv]": frozenset({1024}),
    },
    blocks={"transformer_blocks": (28,)},
    encoders={"text_encoder": frozenset({1024})},
    header=r"anima(?!te)",
    pipelines=("AnimaPipeline",),
    writes={"kohya": "original", "comfyui": "original"},
)

_KREA_ATTENTION = "attn.to_{q,k,v,out.0,gate}"
KREA2 = Family(
    name="krea2",
    title="Krea 2",
    layers={
        **within(
            "blocks.#",
            "transformer_blocks.#",
            {"attn.{wq,wk,wv,wo,gate}": _KREA_ATTENTION, "mlp.{gate,up,down}": "ff.{gate,up,down}"},
        ),
        **within(
            "txtfusion.layerwise_blocks.#",
            "text_fusion.layerwise_blocks.#",
            {"attn.{wq,wk,wv,wo,gate}": _KREA_ATTENTION, "mlp.{gate,up,down}": "ff.{gate,up,down}"},
        ),
        **within(
            "txtfusion.refiner_blocks.#",
            "text_fusion.refiner_blocks.#",
            {"attn.{wq,wk,wv,wo,gate}": _KREA_ATTENTION, "mlp.{gate,up,down}": "ff.{gate,up,down}"},
        ),
        "first": "img_in",
        "last.linear": "final_layer.linear",
        "tmlp.0": "time_embed.linear_1",
        "tmlp.2": "time_embed.linear_2",
        "tproj.1": "time_mod_proj",
        "txtmlp.1": "txt_in.linear_1",
        "txtmlp.3": "txt_in.linear_2",
        "txtfusion.projector": "text_fusion.projector",
    },
    widths={r"transformer_blocks\.\d+\.(attn\.to_([qkv]|gate)|ff\.(gate|up))": frozenset({6144})},
    blocks={"transformer_blocks": (28,)},
    encoders={"text_encoder": frozenset({2560})},
    header=r"krea[_-]?2",
    pipelines=("Krea2Pipeline",),
    writes={"kohya": "original", "comfyui": "original"},
)

_HIDREAM_BLOCK = {
    **same("attn1.to_{q,k,v,out}", "attn1.to_{q,k,v,out}_t", "adaLN_modulation.1"),
    **same("ff_{i,t}.w{1,2,3}", "ff_i.experts.#.w{1,2,3}", "ff_i.shared_experts.w{1,2,3}", "ff_i.gate"),
}
HIDREAM = Family(
    name="hidream",
    title="HiDream",
    layers={
        **within("double_stream_blocks.#.block", "double_stream_blocks.#.block", _HIDREAM_BLOCK),
        **within("single_stream_blocks.#.block", "single_stream_blocks.#.block", _HIDREAM_BLOCK),
        **same("caption_projection.#.linear", "t_embedder.timestep_embedder.linear_{1,2}", "x_embedder.proj"),
        **same("p_embedder.pooled_embedder.linear_{1,2}", "final_layer.linear", "final_layer.adaLN_modulation.1"),
    },
    widths={r".*attn1\.to_[qkv](_t)?": frozenset({2560})},
    blocks={"double_stream_blocks": (16,), "single_stream_blocks": (32,)},
    header=r"hidream",
    pipelines=("HiDreamImagePipeline",),
    writes={"comfyui": "diffusers"},
)

_CASCADE_BLOCK: dict[str, Layer | str] = {
    "attention.attn.to_{q,k,v,out.0}": "attention.to_{q,k,v,out.0}",
    **same("kv_mapper.1", "mapper", "mapper_{sca,crp}", "depthwise", "channelwise.{0,4}"),
}
CASCADE = Family(
    name="cascade",
    title="Stable Cascade",
    component="prior",
    layers={
        **within("down_blocks.#.#", "down_blocks.#.#", _CASCADE_BLOCK),
        **within("up_blocks.#.#", "up_blocks.#.#", _CASCADE_BLOCK),
        **same("clip_txt_pooled_mapper", "clip_txt_mapper", "clip_img_mapper", "embedding.1", "clf.1"),
        **same("{down_downscalers,up_upscalers}.#.1"),
    },
    widths={r".*attention\.to_[qkv]": frozenset({1536, 2048})},
    encoders={"text_encoder": frozenset({1280})},
    header=r"cascade",
    pipelines=("StableCascadePriorPipeline",),
    writes={"kohya": "original"},
    in_diffusers=False,
)
