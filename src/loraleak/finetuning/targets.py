"""Target modules: those of a base that get factors."""

import torch

from loraleak.bases import DiffusersBase
from loraleak.finetuning.recipe import Targets

__all__ = ["target_modules"]

_ATTENTION = (
    *(".to_q", ".to_k", ".to_v", ".to_out.0"),
    *(".add_q_proj", ".add_k_proj", ".add_v_proj", ".to_add_out"),
    *(".q_proj", ".k_proj", ".v_proj", ".out_proj"),
    *(".attn.to_out", ".to_qkv_mlp_proj"),  # the single blocks of Flux.2
)
_CLIP = ("text_encoder.text_model.encoder.", "text_encoder_2.text_model.encoder.")
"""Names of layers in CLIP's text encoders. T5 is never trained, as in diffusers' scripts."""


def target_modules(base: DiffusersBase, targets: Targets, *, text_encoder: bool) -> dict[str, torch.Size]:
    """Weight shapes of the modules that get factors, by name.

    `attention`: the attention projections, as in diffusers' DreamBooth scripts; `cross-attention`: the projections that take
    the prompt, and none in the text encoders, as in Kumari et al. 2023; `transformer`: all linear layers of the transformer
    blocks, as in kohya's scripts; `all`: convolutions of the residual blocks too, as in LoCon.
    """
    chosen = {}
    for name, shape in base.modules.items():
        is_text = name.startswith(_CLIP)
        if not (text_encoder if is_text else name.startswith(base.blocks.within)):
            continue
        in_transformer = is_text or base.blocks.transformer in name
        if (
            targets == "all"
            or (targets == "transformer" and in_transformer)
            or (targets == "attention" and in_transformer and name.endswith(_ATTENTION))
            or (targets == "cross-attention" and any(part in name for part in base.blocks.prompt) and name.endswith(_ATTENTION))
        ):
            chosen[name] = shape
    return chosen
