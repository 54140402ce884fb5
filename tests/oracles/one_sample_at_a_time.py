"""DP-SGD's sum of clipped gradients, one private image at a time, with torch's own clipping: slow and obvious."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from loraleak.bases import DiffusersBase
from loraleak.bases.stacked_layers import Stack
from loraleak.finetuning.randomness import draw_for
from loraleak.finetuning.recipe import Recipe


def clipped_sum(
    base: DiffusersBase,
    stack: Stack,
    latents: Tensor,
    taken: np.ndarray,
    recipe: Recipe,
    *,
    step: int,
    each: int,
    clip: float,
    prior: tuple[int, int],
) -> Tensor:
    """Of the one adapter of the stack, in the order of its `values`. Losses are unweighted: the recipe's must be `uniform`."""
    drawn = draw_for(
        recipe.seed,
        step,
        taken=taken,
        each=each,
        prior=prior,
        noise_levels=base.noise_levels,
        latent_shape=base.latent_shape,
    )
    total = torch.zeros_like(stack.values[0])
    condition = base.embed([recipe.prompt])
    for i, image in enumerate(taken):
        losses = []
        for j in range(i * each, (i + 1) * each):
            noise = torch.from_numpy(drawn.noise[j])[None].to(latents)
            time = torch.tensor([int(drawn.timesteps[j])])
            with base.stacked(stack):
                predicted = base.predict(base.add_noise(latents[image][None], noise, time), time, condition)
            losses.append((predicted - noise).square().mean())
        stack.differentiate(torch.stack(losses).mean())
        parameter = torch.nn.Parameter(stack.values[0].clone())
        parameter.grad = stack.gradients[0].clone()
        clip_grad_norm_([parameter], clip)
        assert parameter.grad is not None
        total += parameter.grad
    return total
