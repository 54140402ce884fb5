"""Training of pocket's autoencoder."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from loraleak.bases.autoencoder import PocketAutoencoder
from loraleak.pocket.renders import Renders
from loraleak.pocket.training import Schedule, Step, fit
from loraleak.types import Images

__all__ = ["AutoencoderRecipe", "psnr", "train_autoencoder"]


@dataclass(frozen=True)
class AutoencoderRecipe:
    """About 17 ms an image on two cores, 25 minutes in all."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2800, batch=32, learning_rate=2e-3))
    kl_weight: float = 1e-4
    l1_weight: float = 0.1


def train_autoencoder(renders: Renders, recipe: AutoencoderRecipe, folder: Path) -> PocketAutoencoder:
    """Squared error, a little absolute error and a KL term; then scaled so that latents have unit variance."""
    torch.manual_seed(recipe.schedule.seed)
    model = PocketAutoencoder()

    def loss(step: Step) -> dict[str, Tensor]:
        chosen = np.sort(step.rng.integers(len(renders), size=step.batch))
        x = pixels(renders.images[chosen])
        posterior = model.encode(x).latent_dist
        y = model.decode(posterior.sample(generator=step.generator)).sample
        mse = F.mse_loss(y, x)
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        return {
            "loss": mse + recipe.l1_weight * F.l1_loss(y, x) + recipe.kl_weight * kl,
            "psnr": 10 * torch.log10(4 / mse.detach()),
            "kl": kl,
        }

    fit("autoencoder", model, recipe.schedule, loss, folder)
    with torch.no_grad():
        chosen = np.linspace(0, len(renders) - 1, 512).astype(int)
        spread = model.encode(pixels(renders.images[chosen])).latent_dist.mean.std()
    model.register_to_config(scaling_factor=round(1 / float(spread), 5))
    return model


@torch.no_grad()
def psnr(model: PocketAutoencoder, images: Images) -> np.ndarray:
    """Peak signal-to-noise ratio of each image after a round trip, in dB."""
    values = []
    for start in range(0, len(images), 64):
        x = pixels(images[start : start + 64])
        y = model(x).sample.clamp(-1, 1)
        values.append(10 * torch.log10(4 / (y - x).square().mean(dim=(1, 2, 3))))
    return torch.cat(values).numpy()


def pixels(images: Images) -> Tensor:
    """`[batch, 3, height, width]` in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
