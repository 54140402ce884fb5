"""DreamBooth LoRA fine-tuning (Ruiz et al. 2023; Hu et al. 2022): a few private images, a trigger, prior preservation."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from loraleak.bases import lora_layers
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.sampling import guided, sample
from loraleak.errors import PhotosError
from loraleak.finetuning.recipe import Recipe
from loraleak.progress import progress_bar
from loraleak.types import Adapter, Factors, Images, Picture

__all__ = ["class_images", "finetune"]

_ATTENTION = (".to_q", ".to_k", ".to_v", ".to_out.0")
_TEXT_ATTENTION = (".q_proj", ".k_proj", ".v_proj", ".out_proj")


def finetune(base: DiffusersBase, images: Sequence[Picture] | Images, recipe: Recipe, *, quiet: bool = False) -> Adapter:
    """Train an adapter on the images; everything frozen is computed once (latents, text states, class images).

    Raises: PhotosError, if there is no image.
    """
    if len(images) == 0:
        raise PhotosError("there are no images to train on: give a folder with 3 to 20 jpg, png or webp files")
    private = base.encode(images)
    prior = base.encode(class_images(base, recipe)) if recipe.prior_batch else None
    prompts = [recipe.prompt, recipe.class_prompt]
    cached = None if recipe.text_encoder else base.embed(prompts)
    try:
        parameters = _inject(base, recipe)
        _train(base, recipe, private, prior, cached, prompts, parameters, quiet)
        factors = _factors(base, recipe)
    finally:
        for model in (base.unet, base.text_encoder):
            lora_layers.detach(model)
            model.requires_grad_(False).eval()
    return Adapter(factors=factors, format="memory")


def class_images(base: DiffusersBase, recipe: Recipe) -> Images:
    """Pictures of the class prompt for prior preservation, generated once for each base, prompt and count, and cached."""
    key = json.dumps([base.sha256, recipe.class_prompt, recipe.class_count, recipe.guidance_scale])
    file = _cache() / f"class-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        condition, empty = base.embed([recipe.class_prompt, ""])
        denoiser = guided(base, condition, empty, recipe.guidance_scale)
        size = 32 if base.resolution <= 128 else 4
        counts = [min(size, recipe.class_count - start) for start in range(0, recipe.class_count, size)]
        batches = [sample(base, denoiser, count, seed=1_000_000 + i) for i, count in enumerate(counts)]
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial.npy")
        np.save(partial, np.concatenate(batches))
        partial.replace(file)
    images: Images = np.load(file)
    return images


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loraleak"


def _inject(base: DiffusersBase, recipe: Recipe) -> list[nn.Parameter]:
    targets = {base.unet: _ATTENTION} | ({base.text_encoder: _TEXT_ATTENTION} if recipe.text_encoder else {})
    parameters: list[nn.Parameter] = []
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        for model, endings in targets.items():
            paths = [path for path, m in model.named_modules() if isinstance(m, nn.Linear) and path.endswith(endings)]
            lora_layers.inject(model, dict.fromkeys(paths, recipe.rank), dict.fromkeys(paths, recipe.alpha / recipe.rank))
            for name, parameter in model.named_parameters():
                parameter.requires_grad_("lora_" in name)
            parameters += [p for p in model.parameters() if p.requires_grad]
            model.train()
    return parameters


def _train(
    base: DiffusersBase,
    recipe: Recipe,
    private: Tensor,
    prior: Tensor | None,
    cached: Tensor | None,
    prompts: list[str],
    parameters: list[nn.Parameter],
    quiet: bool,
) -> None:
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.01)
    generator = torch.Generator().manual_seed(recipe.seed)
    is_private = torch.arange(recipe.batch + recipe.prior_batch) < recipe.batch
    with progress_bar(hidden=quiet) as bar:
        task = bar.add_task("fine-tuning", total=recipe.steps, figures="")
        for _ in range(recipe.steps):
            latents = private[torch.randint(len(private), (recipe.batch,), generator=generator)]
            if prior is not None:
                chosen = torch.randint(len(prior), (recipe.prior_batch,), generator=generator)
                latents = torch.cat([latents, prior[chosen]])
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            times = torch.randint(base.noise_levels, (len(latents),), generator=generator).to(latents.device)
            states = base.embed_with_gradient(prompts) if cached is None else cached
            condition = states[torch.where(is_private, 0, 1).to(states.device)]
            predicted = base.predict_noise(base.add_noise(latents, noise, times), times, condition)
            loss = F.mse_loss(predicted[: recipe.batch], noise[: recipe.batch])
            if prior is not None:
                loss = loss + recipe.prior_weight * F.mse_loss(predicted[recipe.batch :], noise[recipe.batch :])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            bar.update(task, advance=1, figures=f"loss {float(loss.detach()):.3f}")


def _factors(base: DiffusersBase, recipe: Recipe) -> dict[str, Factors]:
    return {
        f"{component}.{lora_layers.canonical(component, path)}": Factors(down=down, up=up, scale=recipe.alpha / recipe.rank)
        for component, model in (("unet", base.unet), ("text_encoder", base.text_encoder))
        for path, (down, up) in lora_layers.values(model).items()
    }
