"""DreamBooth of one person with peft's layers and torch's own AdamW: slow and obvious."""

from collections.abc import Mapping

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor
from torch.nn import functional as F

from loraleak.bases import DiffusersBase
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.randomness import draw, start_numbers
from loraleak.finetuning.recipe import Recipe
from loraleak.types import Images


def train_alone(
    base: DiffusersBase, images: Images, recipe: Recipe, shapes: Mapping[str, torch.Size]
) -> dict[str, tuple[Tensor, Tensor]]:
    """`(A, B)` by module; the base's models are left with peft's layers in them. `shapes` names the modules, in order."""
    models = {"unet": base.unet, "text_encoder": base.text_encoder}
    private = base.encode(images).to(torch.float64)
    prior = base.encode(class_images(base, recipe)).to(torch.float64) if recipe.prior_batch else None
    layers = {}
    for component, model in models.items():
        actual = {n.removeprefix("text_model."): n for n, _ in model.named_modules()}
        mine = {
            n: actual[n.removeprefix(f"{component}.").removeprefix("text_model.")] for n in shapes if n.startswith(component)
        }
        if mine:
            config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(mine.values()))
            inject_adapter_in_model(config, model)
            layers |= {name: model.get_submodule(path) for name, path in mine.items()}
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("lora_" in name)
    numbers = start_numbers(recipe.seed, sum(recipe.rank * s[1:].numel() for s in shapes.values())).to(torch.float64)
    parameters = []
    for name, shape in shapes.items():
        down, up = layers[name].lora_A["default"].weight, layers[name].lora_B["default"].weight
        taken, numbers = numbers[: down.numel()], numbers[down.numel() :]
        down.data = ((2 * taken - 1) / shape[1:].numel() ** 0.5).view(down.shape)
        up.data = torch.zeros_like(up, dtype=torch.float64)
        parameters += [down, up]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.01)
    kept = base.pipeline.scheduler.alphas_cumprod.double()
    for step in range(1, recipe.steps + 1):
        chance = draw(
            recipe.seed,
            step,
            private=(recipe.batch, len(private)),
            prior=(recipe.prior_batch, 1 if prior is None else len(prior)),
            noise_levels=base.noise_levels,
            latent_shape=base.latent_shape,
        )
        latents = private[torch.from_numpy(chance.private)]
        prompts = [recipe.prompt] * recipe.batch
        if prior is not None:
            latents = torch.cat([latents, prior[torch.from_numpy(chance.prior)]])
            prompts += [recipe.class_prompt] * recipe.prior_batch
        noise, times = torch.from_numpy(chance.noise).double(), torch.from_numpy(chance.timesteps)
        predicted = base.predict(base.add_noise(latents, noise, times), times, base.embed_with_gradient(prompts))
        error = F.mse_loss(predicted, noise, reduction="none").mean(dim=(1, 2, 3))
        if recipe.loss_weighting == "debiased":
            every = 1 / torch.sqrt(kept / (1 - kept))
            error = error * (every[times] / every.mean())
        loss = error[: recipe.batch].mean()
        if prior is not None:
            loss = loss + recipe.prior_weight * error[recipe.batch :].mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        optimiser.step()
    return {
        n: (layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()) for n, layer in layers.items()
    }
