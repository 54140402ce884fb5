"""Transformers for video: Wan, LTX-Video and LTX-2, CogVideoX."""

from loraleak.families.family import Family, Layer, same, within

__all__ = ["COGVIDEOX", "LTX2", "LTX_VIDEO", "WAN"]

_WAN_BLOCK: dict[str, Layer | str] = {
    "self_attn.{q,k,v,o}": "attn1.to_{q,k,v,out.0}",
    "cross_attn.{q,k,v,o}": "attn2.to_{q,k,v,out.0}",
    "cross_attn.{k,v}_img": "attn2.add_{k,v}_proj",
    "ffn.{0,2}": "ffn.net.{0.proj,2}",
}
WAN = Family(
    name="wan",
    title="Wan",
    layers={
        **within("blocks.#", "blocks.#", _WAN_BLOCK),
        **within("vace_blocks.#", "vace_blocks.#", _WAN_BLOCK | {"before_proj": "proj_in", "after_proj": "proj_out"}),
        "text_embedding.0": "condition_embedder.text_embedder.linear_1",
        "text_embedding.2": "condition_embedder.text_embedder.linear_2",
        "time_embedding.0": "condition_embedder.time_embedder.linear_1",
        "time_embedding.2": "condition_embedder.time_embedder.linear_2",
        "time_projection.1": "condition_embedder.time_proj",
        "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
        "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
        "head.head": "proj_out",
        "patch_embedding": "patch_embedding",
    },
    widths={r".*attn[12]\.(to_[qkv]|add_[kv]_proj)": frozenset({1536, 3072, 5120})},
    blocks={"blocks": (30, 40)},
    encoders={"text_encoder": frozenset({4096})},
    header=r"(?<![a-z])wan(?![a-z])",
    pipelines=("WanPipeline", "WanImageToVideoPipeline"),
    writes={"kohya": "original", "comfyui": "original"},
)

_LTX_BLOCK = same("attn{1,2}.to_{q,k,v,out.0}", "ff.net.{0.proj,2}")
_LTX_LOOSE = {
    **same("proj_out", "caption_projection.linear_{1,2}"),
    "patchify_proj": "proj_in",
    "adaln_single.linear": "time_embed.linear",
    "adaln_single.emb.timestep_embedder.linear_1": "time_embed.emb.timestep_embedder.linear_1",
    "adaln_single.emb.timestep_embedder.linear_2": "time_embed.emb.timestep_embedder.linear_2",
}
LTX_VIDEO = Family(
    name="ltx-video",
    title="LTX-Video",
    layers={**within("transformer_blocks.#", "transformer_blocks.#", _LTX_BLOCK), **_LTX_LOOSE},
    widths={r".*attn[12]\.to_[qkv]": frozenset({2048, 4096})},
    blocks={"transformer_blocks": (28, 48)},
    encoders={"text_encoder": frozenset({4096})},
    header=r"ltx[_-]?(v|video|0)|ltx(?![\d._-]*2)",
    pipelines=("LTXPipeline", "LTXConditionPipeline"),
    writes={"comfyui": "original"},
)
_ADALN = {
    "audio_adaln_single": "audio_time_embed",
    "av_ca_video_scale_shift_adaln_single": "av_cross_attn_video_scale_shift",
    "av_ca_audio_scale_shift_adaln_single": "av_cross_attn_audio_scale_shift",
    "av_ca_a2v_gate_adaln_single": "av_cross_attn_video_a2v_gate",
    "av_ca_v2a_gate_adaln_single": "av_cross_attn_audio_v2a_gate",
    "prompt_adaln_single": "prompt_adaln",
    "audio_prompt_adaln_single": "audio_prompt_adaln",
}
_LTX2_BLOCK = _LTX_BLOCK | same(
    "audio_attn{1,2}.to_{q,k,v,out.0}",
    "{audio_to_video,video_to_audio}_attn.to_{q,k,v,out.0}",
    "audio_ff.net.{0.proj,2}",
    "{attn1,attn2,audio_attn1,audio_attn2,audio_to_video_attn,video_to_audio_attn}.to_gate_logits",
)
LTX2 = Family(
    name="ltx2",
    title="LTX-2",
    layers={
        **within("transformer_blocks.#", "transformer_blocks.#", _LTX2_BLOCK),
        **_LTX_LOOSE,
        **same("audio_proj_out", "audio_caption_projection.linear_{1,2}"),
        "audio_patchify_proj": "audio_proj_in",
        **{f"{old}.linear": f"{new}.linear" for old, new in _ADALN.items()},
        **{
            f"{old}.emb.timestep_embedder.linear_{i}": f"{new}.emb.timestep_embedder.linear_{i}"
            for old, new in _ADALN.items()
            for i in (1, 2)
        },
    },
    widths={
        r".*\.attn[12]\.to_[qkv]": frozenset({4096}),
        r".*\.audio_attn[12]\.to_[qkv]": frozenset({2048}),
    },
    blocks={"transformer_blocks": (48,)},
    encoders={"text_encoder": frozenset({3840})},
    header=r"ltx[._-]?(v|video)?[._-]?2",
    pipelines=("LTX2Pipeline",),
    writes={"comfyui": "original"},
)
COGVIDEOX = Family(
    name="cogvideox",
    title="CogVideoX",
    layers={
        **same("transformer_blocks.#.attn1.to_{q,k,v,out.0}", "transformer_blocks.#.ff.net.{0.proj,2}"),
        **same("transformer_blocks.#.norm{1,2}.linear", "patch_embed.{proj,text_proj}", "time_embedding.linear_{1,2}"),
        **same("norm_out.linear", "proj_out"),
    },
    widths={r".*attn1\.to_[qkv]": frozenset({1920, 3072})},
    blocks={"transformer_blocks": (30, 42)},
    encoders={"text_encoder": frozenset({4096})},
    header=r"cogvideo",
    pipelines=("CogVideoXPipeline",),
)
