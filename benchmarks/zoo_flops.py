"""Cost of a zoo, as adapters an hour by base and device, from counted FLOPs: python benchmarks/zoo_flops.py

A training sample of LoRA takes twice the FLOPs of a forward pass: the backward pass makes gradients of activations, but none of
the frozen weights. Forward FLOPs are counted on shapes alone, so no weights are needed. Peaks are the makers' figures for dense
bfloat16 products. The shares of peak are assumptions. For the CPU, benchmarks/zoo.py measured both.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from loraleak.assets import POCKET

__all__ = ["DEVICES", "UNETS", "forward_flops"]

_STEPS, _SAMPLES = 1000, 2
"""Steps of one adapter and samples a step, as in the paper: one private and one class image."""

UNETS: Mapping[str, tuple[dict[str, Any], int]] = {
    "pocket": (UNet2DConditionModel.load_config(POCKET / "unet"), 32),
    "SD 1.5": ({"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}, 77),
    "SD 2.1": (
        {"sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
        77,
    ),
    "SDXL": (
        {
            "sample_size": 128,
            "cross_attention_dim": 2048,
            "attention_head_dim": (5, 10, 20),
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        77,
    ),
}
DEVICES: Mapping[str, tuple[float, float]] = {
    "2 CPU cores": (0.143e12, 0.69),
    "RTX 4090": (165e12, 0.35),
    "A100": (312e12, 0.35),
    "H100": (989e12, 0.30),
}
"""Peak FLOP/s, and the share of it that a step reaches."""


def main() -> None:
    print(f"one adapter: {_STEPS} steps of {_SAMPLES} samples; adapters an hour")
    print(f"{'base':<10}{'GFLOP a sample':>16}" + "".join(f"{device:>14}" for device in DEVICES))
    for name, (config, tokens) in UNETS.items():
        flops = 2 * forward_flops(config, tokens)
        rates = [peak * share * 3600 / (flops * _STEPS * _SAMPLES) for peak, share in DEVICES.values()]
        print(f"{name:<10}{flops / 1e9:>16.1f}" + "".join(f"{rate:>14.3g}" for rate in rates))


def forward_flops(config: dict[str, Any], tokens: int) -> int:
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
        size, channels = unet.config["sample_size"], unet.config["in_channels"]
        latents, states = torch.empty(1, channels, size, size), torch.empty(1, tokens, unet.config["cross_attention_dim"])
        added = {"text_embeds": torch.empty(1, 1280), "time_ids": torch.empty(1, 6)}
        with FlopCounterMode(display=False) as counter:
            unet(latents, torch.empty(1), states, added_cond_kwargs=added)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    main()
