"""Language models: the ones that files are for, and the ones that encode prompts."""

from loraleak.families.family import Family, Layer, same, within

__all__ = ["ENCODERS", "LANGUAGE_MODEL"]

_LLAMA = same(
    "self_attn.{q_proj,k_proj,v_proj,o_proj,qkv_proj,dense,out_proj}",
    "mlp.{gate_proj,up_proj,down_proj,gate_up_proj,fc1,fc2,gate}",
    "mlp.experts.#.{gate_proj,up_proj,down_proj}",
    "mlp.shared_expert.{gate_proj,up_proj,down_proj}",
    "block_sparse_moe.experts.#.{w1,w2,w3}",
    "block_sparse_moe.gate",
    "linear_attn.{in_proj_qkvz,in_proj_ba,out_proj}",
    "{fc1,fc2}",
)
_ROOTS = (
    "model.layers.#",
    "layers.#",
    "model.language_model.layers.#",
    "language_model.model.layers.#",
    "model.model.layers.#",
    "model.decoder.layers.#",
    "transformer.h.#",
    "gpt_neox.layers.#",
)
_OWN = same(
    "transformer.h.#.attn.{c_attn,c_proj,q_proj,k_proj,v_proj,out_proj}",
    "transformer.h.#.mlp.{c_fc,c_proj,fc_in,fc_out,dense_h_to_4h,dense_4h_to_h}",
    "transformer.h.#.self_attention.{query_key_value,dense}",
    "transformer.encoder.layers.#.self_attention.{query_key_value,dense}",
    "transformer.encoder.layers.#.mlp.{dense_h_to_4h,dense_4h_to_h}",
    "gpt_neox.layers.#.attention.{query_key_value,dense}",
    "gpt_neox.layers.#.mlp.{dense_h_to_4h,dense_4h_to_h}",
    "{bert,roberta}.encoder.layer.#.attention.self.{query,key,value}",
    "{bert,roberta}.encoder.layer.#.{attention.output,intermediate,output}.dense",
    "{model,transformer,model.language_model}.{embed_tokens,wte}",
    "{encoder,decoder}.block.#.layer.{0,1}.{SelfAttention,EncDecAttention}.{q,k,v,o}",
    "{encoder,decoder}.block.#.layer.{1,2}.DenseReluDense.{wi,wi_0,wi_1,wo}",
    "lm_head",
    "backbone.layers.#.mixer.{in_proj,out_proj,x_proj,dt_proj}",
)

LANGUAGE_MODEL = Family(
    name="llm",
    title="a language model",
    component="language_model",
    layers={path: layer for root in _ROOTS for path, layer in within(root, root, _LLAMA).items()} | _OWN,
    in_diffusers=False,
)

_CLIP: dict[str, Layer | str] = same(
    "text_model.encoder.layers.#.self_attn.{q,k,v,out}_proj", "text_model.encoder.layers.#.mlp.{fc1,fc2}", "text_projection"
)
_T5 = same(
    "encoder.block.#.layer.0.SelfAttention.{q,k,v,o}",
    "encoder.block.#.layer.1.DenseReluDense.{wi,wi_0,wi_1,wo}",
)
ENCODERS = Family(
    name="text-encoder",
    title="a text encoder",
    component="text_encoder",
    layers={**_CLIP, **_T5, **LANGUAGE_MODEL.layers},
)
"""Layers of all text encoders: CLIP, T5, language models."""
