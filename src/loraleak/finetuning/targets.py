"""Which modules of a base get factors."""

import torch

from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.finetuning.recipe import Targets

__all__ = ["target_modules"]

_ATTENTION = (".to_q", ".to_k", ".to_v", ".to_out.0", ".q_proj", ".k_proj", ".v_proj", ".out_proj")
_BLOCKS = ("unet.down_blocks.", "unet.mid_block.", "unet.up_blocks.", "text_encoder.text_model.encoder.")


def target_modules(base: DiffusersBase, targets: Targets, *, text_encoder: bool) -> dict[str, torch.Size]:
    """Weight shapes by name of the modules that get factors.

    `attention`: the attention projections, as diffusers' DreamBooth script; `cross-attention`: those of the layers that the prompt
    enters by, with none in the text encoder, as Kumari et al. 2023; `transformer`: everything linear in the transformer
    blocks, as kohya's; `all`: convolutions of the residual blocks too, as LoCon.
    """
    chosen = {}
    for name, shape in base.modules.items():
        if not name.startswith(_BLOCKS) or (name.startswith("text_encoder.") and not text_encoder):
            continue
        in_transformer = ".attentions." in name or name.startswith("text_encoder.")
        if (
            targets == "all"
            or (targets == "transformer" and in_transformer)
            or (targets == "attention" and in_transformer and name.endswith(_ATTENTION))
            or (targets == "cross-attention" and ".attn2." in name and name.endswith(_ATTENTION))
        ):
            chosen[name] = shape
    return chosen
