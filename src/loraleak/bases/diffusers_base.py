"""Stable-Diffusion-shaped bases (1.x and 2.x), read from any diffusers pipeline folder or hub id."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

import loraleak.bases.autoencoder  # noqa: F401  (pocket's pipeline folder names this class)
from loraleak.bases import lora_layers
from loraleak.bases.stacked_layers import Stack
from loraleak.errors import BaseMismatchError, ConditionShapeError, UsageError
from loraleak.types import Adapter, Images, Picture

__all__ = ["POCKET", "DiffusersBase", "load_base"]

POCKET = Path(__file__).parents[1] / "assets" / "pocket"
"""The embedded base, a pipeline folder inside the package."""


def load_base(name: str = "pocket", *, device: str = "auto") -> "DiffusersBase":
    """The base called `pocket`, or a diffusers pipeline by folder or hub id, in float32.

    Raises: UsageError, if there is no such pipeline or it is not shaped like Stable Diffusion 1.x or 2.x.
    """
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    source = POCKET if name == "pocket" else name
    try:
        pipeline = DiffusionPipeline.from_pretrained(source, safety_checker=None, feature_extractor=None, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"base {name!r} cannot be loaded ({reason}): give `pocket`, a diffusers pipeline folder or a hub id"
        ) from error
    missing = [part for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler") if part not in pipeline.components]
    if missing or "text_encoder_2" in pipeline.components:
        kind = type(pipeline).__name__
        raise UsageError(f"base {name!r} is a {kind}: only Stable Diffusion 1.x and 2.x pipelines are supported so far")
    return DiffusersBase(name, device=pick_device(device), **{k: pipeline.components[k] for k in _PARTS})


def pick_device(device: str) -> torch.device:
    """`auto` takes cuda, then mps, then cpu."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


class DiffusersBase:
    """A latent diffusion model with a prompt: `E, D` (vae), `tau` (text_encoder) and `eps` (unet) of method.md."""

    def __init__(
        self,
        name: str,
        *,
        unet: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        device: torch.device,
    ) -> None:
        self.name = name
        self.device = device
        self.unet = unet.requires_grad_(False).eval().to(device)
        self.vae = vae.requires_grad_(False).eval().to(device)
        self.text_encoder = text_encoder.requires_grad_(False).eval().to(device)
        self.tokenizer = tokenizer
        self.scheduler = scheduler

    @cached_property
    def sha256(self) -> str:
        """Over the names and bytes of all weights of the U-Net, the text encoder and the autoencoder."""
        digest = hashlib.sha256()
        for part in (self.unet, self.text_encoder, self.vae):
            for key, value in sorted(part.state_dict().items()):
                digest.update(key.encode())
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def modules(self) -> Mapping[str, torch.Size]:
        """Weight shapes of all linear and convolution layers, by dotted path with the component first."""
        return {
            f"{component}.{lora_layers.canonical(component, path)}": module.weight.shape
            for component, model in self._components.items()
            for path, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        }

    def weight(self, name: str) -> Tensor:
        """The base's own weight of one of `modules`, `[d_out, d_in]` or `[c_out, c_in, kernel, kernel]`, without any adapter."""
        component, _, path = name.partition(".")
        model = self._components[component]
        places = {lora_layers.canonical(component, place): place for place, _ in model.named_modules()}
        module: Any = model.get_submodule(places[path])
        weight: Tensor = module.weight
        return weight.detach()

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`[channels, height, width]` of the latents of one image."""
        size = int(self.unet.config["sample_size"])
        return int(self.unet.config["in_channels"]), size, size

    @property
    def condition_shape(self) -> tuple[int, int]:
        """`[tokens, cross_attention_dim]` of one condition."""
        return int(self.tokenizer.model_max_length), int(self.unet.config["cross_attention_dim"])

    @property
    def resolution(self) -> int:
        """Side of a decoded image in pixels."""
        return self.latent_shape[1] * 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @torch.no_grad()
    def encode(self, images: Sequence[Picture] | Images) -> Float[Tensor, "images channels h w"]:
        """Scaled posterior means of images, which are cut to a centred square and resized first."""
        parts = [
            self.vae.encode(batch.to(self.device)).latent_dist.mean * self.vae.config["scaling_factor"]
            for batch in self._pixels(images).split(32)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "images channels h w"]) -> Images:
        """RGB pictures of scaled latents."""
        parts = [self.vae.decode(batch / self.vae.config["scaling_factor"]).sample.clamp(-1, 1) for batch in latents.split(32)]
        pixels = ((torch.cat(parts) + 1) * 127.5).round().byte()
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        """The text encoder's last hidden states."""
        return self.embed_with_gradient(prompts)

    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        """As `embed`, for training the text encoder."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self.condition_shape[0],
            return_tensors="pt",
        ).input_ids
        states: Tensor = self.text_encoder(tokens.to(self.device)).last_hidden_state
        return states

    def transform(self, tokens: Float[Tensor, "batch count dim"]) -> Float[Tensor, "batch count dim"]:
        """The text transformer's layers on tokens of any meaning: no positions, every token sees every other; with gradient."""
        model = getattr(self.text_encoder, "text_model", self.text_encoder)
        states: Tensor = model.encoder(inputs_embeds=tokens).last_hidden_state
        return model.final_layer_norm(states)

    def predict_noise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Int[Tensor, "batch"],
        condition: Float[Tensor, "batch tokens dim"],
    ) -> Float[Tensor, "batch channels h w"]:
        """eps of the current weights, adapter included where one is attached; v-prediction is turned into noise.

        Raises: ConditionShapeError, if `condition` is not `[batch, tokens, cross_attention_dim]` of this base.
        """
        if condition.shape[2] != self.condition_shape[1]:
            raise ConditionShapeError(
                f"condition has width {condition.shape[2]}, base {self.name} takes {self.condition_shape[1]}: "
                "give states of this base's text encoder, or an attack trained for this base"
            )
        output: Tensor = self.unet(latents, timesteps, condition).sample
        if self.scheduler.config["prediction_type"] == "v_prediction":
            kept = self._kept(timesteps).to(latents)
            return kept.sqrt() * output + (1 - kept).sqrt() * latents
        return output

    def add_noise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        noise: Float[Tensor, "batch channels h w"],
        timesteps: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels h w"]:
        """`x_t` of the base's noise schedule: `sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise` (Ho et al. 2020, eq. 4).

        Not the scheduler's own method: that of DPM-Solver counts timesteps backwards until a sampling run has set them.
        """
        kept = self._kept(timesteps).to(latents)
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def _kept(self, timesteps: Int[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
        kept: Tensor = self.scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
        return kept.view(-1, 1, 1, 1)

    @property
    def signal_to_noise(self) -> Float[Tensor, " levels"]:
        """`abar_t / (1 - abar_t)` of every timestep."""
        kept: Tensor = self.scheduler.alphas_cumprod.double()
        return kept / (1 - kept)

    @property
    def noise_levels(self) -> int:
        return int(self.scheduler.config["num_train_timesteps"])

    @contextmanager
    def adapted(self, adapter: Adapter) -> Iterator[None]:
        """Within this context the base runs with the adapter, through peft's LoRA layers. An unknown scale counts as 1.

        Raises: BaseMismatchError, if a module of the adapter is not in this base or has another shape.
        """
        self.check(adapter)
        try:
            for component, model in self._components.items():
                lora_layers.attach(model, component, adapter.factors)
            yield
        finally:
            for model in self._components.values():
                lora_layers.detach(model)

    def stacked(self, stack: Stack) -> AbstractContextManager[None]:
        """Within this context sample `i` of a batch of `K m` runs through adapter `i // m` of the stack."""
        places = {
            f"{component}.{lora_layers.canonical(component, path)}": (model, path)
            for component, model in self._components.items()
            for path, _ in model.named_modules()
        }
        return stack.installed(places)

    def bare(self) -> AbstractContextManager[None]:
        """Within this context an attached adapter is switched off."""
        return lora_layers.switched_off(tuple(self._components.values()))

    def check(self, adapter: Adapter) -> None:
        """Raises: BaseMismatchError, in one line with the first misfit, when the adapter belongs to another base."""
        misfits = []
        for name, factors in adapter.factors.items():
            shape = self.modules.get(name)
            if shape is None:
                misfits.append(f"{name} is not in it")
            elif (factors.up.shape[0], *factors.down.shape[1:]) != tuple(shape):
                have = (factors.up.shape[0], *factors.down.shape[1:])
                misfits.append(f"{name} is {list(have)} in the adapter and {list(shape)} in the base")
        if misfits:
            raise BaseMismatchError(
                f"the adapter does not fit base {self.name!r}: {len(misfits)} of {len(adapter.factors)} modules differ, "
                f"the first: {misfits[0][:200]}; give the base that it was trained on with --base"
            )

    @property
    def _components(self) -> Mapping[str, nn.Module]:
        return {"unet": self.unet, "text_encoder": self.text_encoder}

    def _pixels(self, images: Sequence[Picture] | Images) -> Float[Tensor, "images 3 height width"]:
        squares = [_square(image, self.resolution) for image in images]
        return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _square(image: Picture, size: int) -> Picture:
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    cut = Image.fromarray(image).crop((left, top, left + side, top + side))
    return np.asarray(cut.resize((size, size), Image.Resampling.LANCZOS))
