"""Training of pocket's text encoder and U-Net, together, from nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from loraleak.bases import PocketAutoencoder
from loraleak.files import replacing
from loraleak.people import varied_caption
from loraleak.people.avatars import NONE
from loraleak.pocket.fitting import Schedule, Step, fit
from loraleak.pocket.image_autoencoder import pixels
from loraleak.pocket.renders import Renders
from loraleak.pocket.vocabulary import MAX_TOKENS

__all__ = ["DenoiserRecipe", "TextToLatents", "build_scheduler", "encode_renders", "train_denoiser"]

_WIDTH = 128


@dataclass(frozen=True)
class DenoiserRecipe:
    """Recipe of the training. A sample takes 0.9 GFLOP, about 10 ms; the whole takes an hour and a half on two cores."""

    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=13_000, batch=32, learning_rate=1e-3, warmup=200, checkpoint_every=200)
    )


class TextToLatents(nn.Module):
    """The two trained parts as one module, from token ids to a noise prediction."""

    def __init__(self, vocabulary: int, latent_channels: int) -> None:
        super().__init__()
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=vocabulary,
                hidden_size=_WIDTH,
                intermediate_size=2 * _WIDTH,
                projection_dim=_WIDTH,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=MAX_TOKENS,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
                initializer_factor=1.0,
            )
        )
        self.unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=latent_channels,
            out_channels=latent_channels,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(96, 128),
            layers_per_block=1,
            attention_head_dim=4,
            cross_attention_dim=_WIDTH,
            norm_num_groups=16,
        )

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        states = self.text_encoder(tokens).last_hidden_state
        return self.unet(latents, timesteps, states).sample


def build_scheduler() -> DPMSolverMultistepScheduler:
    """Stable Diffusion 1.x's noise schedule, noise prediction, sampled by DPM-Solver++(2M)."""
    return DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, steps_offset=1
    )


@torch.no_grad()
def encode_renders(model: PocketAutoencoder, renders: Renders, file: Path) -> np.ndarray:
    """Scaled posterior means `[images, channels, 8, 8]` in half precision, computed once and kept in `file`."""
    if not file.exists():
        scale = model.config["scaling_factor"]
        parts = [
            (model.posterior(pixels(renders.images[i : i + 256])).mean * scale).half().numpy()
            for i in range(0, len(renders), 256)
        ]
        with replacing(file) as partial:
            np.save(partial, np.concatenate(parts))
    return np.load(file)


def train_denoiser(
    latents: np.ndarray, renders: Renders, tokenizer: CLIPTokenizer, recipe: DenoiserRecipe, folder: Path
) -> TextToLatents:
    """Train by noise prediction (Ho et al. 2020, eq. 14), with timesteps stratified over the batch.

    Errors are weighted by `sqrt(1 / SNR)`, half-way from the error of the noise to the error of the picture. That makes the
    error about equal over timesteps. High noise, where captions decide, then counts as much as fine grain. People with facial
    hair or glasses come more often, because these are small and only a third of the people have them.
    """
    torch.manual_seed(recipe.schedule.seed)
    model = TextToLatents(len(tokenizer), latents.shape[1])
    scheduler = build_scheduler()
    levels = scheduler.config["num_train_timesteps"]
    signal, spread = scheduler.alphas_cumprod.sqrt(), (1 - scheduler.alphas_cumprod).sqrt()

    weights = (spread / signal) / (spread / signal).mean()
    shares = np.array(
        [1.0 + (p.facial_hair != NONE) + (p.glasses != NONE) for p in map(renders.person_of, range(len(renders)))]
    )
    shares /= shares.sum()

    def loss(step: Step) -> dict[str, Tensor]:
        chosen = step.rng.choice(len(renders), size=step.batch, p=shares)
        clean = torch.from_numpy(latents[chosen]).float()
        noise = torch.randn(clean.shape, generator=step.generator)
        offsets = torch.rand(step.batch, generator=step.generator)
        timesteps = ((torch.arange(step.batch) + offsets) * levels / step.batch).long()
        captions = [varied_caption(step.rng, renders.person_of(i), renders.looks[i]) for i in chosen]
        noisy = signal[timesteps].view(-1, 1, 1, 1) * clean + spread[timesteps].view(-1, 1, 1, 1) * noise
        error = (model(noisy, timesteps, tokenize(tokenizer, captions)) - noise).square().mean(dim=(1, 2, 3))
        return {"loss": (weights[timesteps] * error).mean(), "unweighted": error.mean()}

    model.unet.to(memory_format=torch.channels_last)  # a fifth faster
    fit("denoiser", model, recipe.schedule, loss, folder)
    return model


def tokenize(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Token ids `[captions, MAX_TOKENS]`."""
    ids: Tensor = tokenizer(
        list(captions), padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).input_ids
    return ids
