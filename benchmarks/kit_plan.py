"""Plan of a kit on 8 GPUs, on paper, from counted FLOPs: python benchmarks/kit_plan.py --people 200 800 1500

A kit has the default numbers: 99 controls, 50 people kept apart, adapters of 1,000 steps of one private and one class image, arms of 8
pictures with 20 steps under guidance, 4,500 training steps. Rates of GPUs are those that `benchmarks/zoo_flops.py` assumes. The zoo is
shared by all GPUs. Training runs on one, and so do controls and people kept apart. Disk is that of the zoo: factors of the attention
layers at the highest rank, 16, in half precision, 8 snapshots each.
"""

import argparse
import re
from dataclasses import dataclass
from math import prod

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from zoo_flops import DEVICES, UNETS, forward_flops

from loraleak.inversion import TrainSettings
from loraleak.kit_building import KitSettings

__all__ = ["Counted", "bases", "passes_of_kit"]

_GPUS = 8
_STEPS, _SAMPLES, _BACKWARD = 1_000, 2, 2
"""Steps of an adapter, samples a step, and the cost of a forward and a backward pass in forward passes."""
_ARMS, _GUIDANCE = 8, 2
_UNIVERSAL = 300 * 16 * 2
_RANK, _SNAPSHOTS, _HALF = 16, 8, 2
_ATTENTION = re.compile(r"attn\d?\.(to_(q|k|v|out\.0|add_out)|add_(q|k|v)_proj)$")
_TEXT_TOKENS, _SIDE = 512, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[200, 800, 1500])
    arguments = parser.parse_args()
    peak, share = DEVICES["H100"]
    print(
        "| base | TFLOP a forward pass | people | zoo, h | training, h | controls and quality, h | whole, h | disk of the zoo, GB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, base in bases().items():
        hour = peak * share * 3600 / base.flops
        zoo, training, controls = (passes / hour for passes in passes_of_kit())
        for people in arguments.people:
            stages = [zoo * people / _GPUS, training, controls]
            disk = people * base.numbers * _RANK * _SNAPSHOTS * _HALF / 1e9
            cells = [f"{hours:.1f}" for hours in (*stages, sum(stages))]
            print(f"| {name} | {base.flops / 1e12:.2f} | {people:,} | {' | '.join(cells)} | {disk:,.0f} |", flush=True)


@dataclass(frozen=True)
class Counted:
    """What is counted on a base's denoiser."""

    flops: int
    """FLOPs of a forward pass of one picture."""
    numbers: int
    """Numbers of factors of rank 1 on the attention layers."""
    layers: int
    """Attention layers that get factors."""


def passes_of_kit() -> tuple[float, float, float]:
    """Forward passes of one adapter of the zoo, of the training with captions, and of controls and people kept apart."""
    kit, training = KitSettings(), TrainSettings()
    adapter = _STEPS * _SAMPLES * _BACKWARD
    decoded = kit.train_steps * (1 - training.noise_from) * training.noise_adapters * training.noise_images
    sampled = _ARMS * kit.pictures * kit.sampler_steps * _GUIDANCE
    return adapter, (decoded + _UNIVERSAL) * _BACKWARD, (kit.controls + kit.quality) * (adapter + sampled)


def bases() -> dict[str, Counted]:
    """The bases of the plan."""
    counted = {}
    for name in ("SD 1.5", "SDXL"):
        config, tokens = UNETS[name]
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(config)
        counted[name] = Counted(forward_flops(config, tokens), *_factors(unet))
    with torch.device("meta"):
        flux = FluxTransformer2DModel(guidance_embeds=True)
        patches = (_SIDE // 16) ** 2
        with FlopCounterMode(display=False) as counter:
            flux(
                hidden_states=torch.empty(1, patches, 64),
                encoder_hidden_states=torch.empty(1, _TEXT_TOKENS, 4096),
                pooled_projections=torch.empty(1, 768),
                timestep=torch.empty(1),
                guidance=torch.empty(1),
                img_ids=torch.empty(patches, 3),
                txt_ids=torch.empty(_TEXT_TOKENS, 3),
            )
    counted["Flux.1, 512 pixels"] = Counted(int(counter.get_total_flops()), *_factors(flux))
    return counted


def _factors(denoiser: nn.Module) -> tuple[int, int]:
    shapes = [layer.weight.shape for name, layer in denoiser.named_modules() if _ATTENTION.search(name)]
    return sum(shape[0] + prod(shape[1:]) for shape in shapes), len(shapes)


if __name__ == "__main__":
    main()
