"""The part that bases of all families share: encode, decode, predict, run with an adapter. A family fills in the rest."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Num
from PIL import Image
from torch import Tensor, nn

from loraleak.adapters import families_of_adapter
from loraleak.bases import lora_layers
from loraleak.bases.diffusion import Diffusion
from loraleak.bases.flow import Flow
from loraleak.bases.stacked_layers import Stack
from loraleak.errors import AdapterError, BaseMismatchError, ConditionShapeError, UsageError
from loraleak.families import titles
from loraleak.types import Adapter, Images, Picture

__all__ = ["Blocks", "DiffusersBase"]


@dataclass(frozen=True)
class Blocks:
    """Parts of layers' names that tell where in a denoiser the layers are."""

    within: tuple[str, ...]
    """Prefixes of the names of repeated blocks, the component first."""
    transformer: str
    """Part of the name of every layer in a transformer block."""
    prompt: tuple[str, ...]
    """Parts of names: every attention projection that takes the prompt has one of them."""


class DiffusersBase(ABC):
    """A latent diffusion model with a prompt (Rombach et al. 2022): an autoencoder, text encoders and a denoiser.

    A family is a subclass. It says what a prompt becomes, what the denoiser takes, and where its layers are.
    """

    denoiser_name: ClassVar[str]
    """Name of the component that is the denoiser."""
    text_encoders: ClassVar[tuple[str, ...]]
    """Components that read the prompt; some may be missing in a pipeline."""
    blocks: ClassVar[Blocks]
    patch: ClassVar[int] = 1
    """Side of one token of the denoiser, in latents."""
    distilled: bool = False
    """Whether classifier-free guidance is an input of the denoiser, in the place of a second pass (Meng et al. 2023)."""

    _in_stack: bool = False
    one_at_a_time: bool = False
    """Whether pictures go through the denoiser one after the other, where no gradient is wanted."""

    def __init__(self, name: str, pipeline: Any, *, device: torch.device, resolution: int | None = None) -> None:
        """`pipeline` holds its models on `device`, or moves them there by itself. `resolution` is the pipeline's own where
        None.

        Raises: UsageError, if the resolution is none that the denoiser takes.
        """
        self.name, self.pipeline, self.device = name, pipeline, device
        self.denoiser: Any = getattr(pipeline, self.denoiser_name)
        self.vae: Any = pipeline.vae
        found = {part: getattr(pipeline, part, None) for part in self.text_encoders}
        self.components: dict[str, nn.Module] = {
            self.denoiser_name: self.denoiser,
            **{part: model for part, model in found.items() if model is not None},
        }
        for model in (*self.components.values(), self.vae):
            model.requires_grad_(False).eval()
        self.resolution = self.own_resolution if resolution is None else resolution
        """Side of a decoded image in pixels."""
        step = self.vae_scale * self.patch
        if self.resolution < step or self.resolution % step:
            raise UsageError(f"resolution is {self.resolution}, base {name!r} takes multiples of {step}: give one of them")
        self.schedule = self._schedule(pipeline.scheduler)

    # Each family defines these.

    @property
    @abstractmethod
    def own_resolution(self) -> int:
        """Side in pixels of the images that the base was made for."""

    @property
    @abstractmethod
    def latent_channels(self) -> int: ...

    @abstractmethod
    def _schedule(self, scheduler: Any) -> Diffusion | Flow: ...

    @abstractmethod
    def embed_with_gradient(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        """Embed prompts with gradients, for training the text encoders."""

    @abstractmethod
    def _denoise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float,
    ) -> Float[Tensor, "batch channels h w"]:
        """The denoiser's own output."""

    # All families share these.

    @cached_property
    def sha256(self) -> str:
        """Hash over the names and bytes of all weights of the denoiser, the text encoders and the autoencoder, in the type they
        run in."""
        digest = hashlib.sha256()
        for part in (*self.components.values(), self.vae):
            for key, value in sorted(part.state_dict().items()):
                digest.update(key.encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def modules(self) -> Mapping[str, torch.Size]:
        """Weight shapes of all linear and convolution layers, by dotted path with the component first."""
        return {
            f"{component}.{lora_layers.canonical(component, path)}": module.weight.shape
            for component, model in self.components.items()
            for path, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        }

    def weight(self, name: str) -> Tensor:
        """The base's own weight of one of `modules`, `[d_out, d_in]` or `[c_out, c_in, kernel, kernel]`, without any adapter."""
        component, _, path = name.partition(".")
        model = self.components[component]
        places = {lora_layers.canonical(component, place): place for place, _ in model.named_modules()}
        module: Any = model.get_submodule(places[path])
        weight: Tensor = module.weight
        return weight.detach()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the denoiser's weights."""
        kind: torch.dtype = next(self.denoiser.parameters()).dtype
        return kind

    @property
    def like(self) -> Tensor:
        """An empty tensor on the device and of the type that factors, latents and noise have: float32 also where the base is in half
        precision."""
        return torch.empty(0, dtype=torch.promote_types(self.dtype, torch.float32), device=self.device)

    @property
    def vae_scale(self) -> int:
        """Pixels of a latent's side."""
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """`[channels, height, width]` of the latents of one image."""
        size = self.resolution // self.vae_scale
        return self.latent_channels, size, size

    @cached_property
    def condition_shape(self) -> tuple[int, int]:
        """`[tokens, dim]` of one condition."""
        tokens, dim = self.embed([""]).shape[1:]
        return tokens, dim

    @property
    def timesteps(self) -> Num[Tensor, " levels"]:
        """Timesteps that training draws from, from little noise to much."""
        return self.schedule.timesteps

    @property
    def noise_levels(self) -> int:
        return len(self.schedule.timesteps)

    @property
    def at_once(self) -> int:
        """Pictures that the autoencoder takes in one batch: as many pixels as 32 pictures of 64 x 64, but at least one
        picture."""
        return 1 if self.one_at_a_time else max(1, 32 * 64**2 // self.resolution**2)

    @torch.no_grad()
    def encode(self, images: Sequence[Picture] | Images) -> Float[Tensor, "images channels h w"]:
        """Scaled posterior means of images, which are cut to a centred square and resized first."""
        batches = self._pixels(images).split(self.at_once)
        return torch.cat([self.latents(batch.to(self.device, self.vae.dtype)) for batch in batches]).to(self.like.dtype)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "images channels h w"]) -> Images:
        """RGB pictures of scaled latents."""
        parts = [self.pixels(batch).float().clamp(-1, 1) for batch in latents.split(self.at_once)]
        pixels = ((torch.cat(parts) + 1) * 127.5).round().byte()
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def latents(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images channels h w"]:
        """What the autoencoder makes of pixels in [-1, 1], scaled as the denoiser takes it."""
        shift, scale = self._latent_scale
        latents: Tensor = (self.vae.encode(pixels).latent_dist.mean - shift) * scale
        return latents

    def pixels(self, latents: Float[Tensor, "images channels h w"]) -> Float[Tensor, "images 3 height width"]:
        """What the autoencoder makes of scaled latents."""
        shift, scale = self._latent_scale
        pixels: Tensor = self.vae.decode((latents / scale + shift).to(self.vae.dtype)).sample
        return pixels

    def guide(
        self,
        without: Float[Tensor, "batch channels h w"],
        with_condition: Float[Tensor, "batch channels h w"],
        scale: float,
    ) -> Float[Tensor, "batch channels h w"]:
        """Classifier-free guidance (Ho and Salimans 2022) of two predictions."""
        return without + scale * (with_condition - without)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Float[Tensor, "prompts tokens dim"]:
        """Conditions that the text encoders make of prompts."""
        return self.embed_with_gradient(prompts)

    def predict(
        self,
        latents: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
        condition: Float[Tensor, "batch tokens dim"],
        guidance: float = 1.0,
    ) -> Float[Tensor, "batch channels h w"]:
        """Prediction of the current weights, with the adapter where one is attached: noise, or a velocity, as the base was
        trained.

        `guidance` has an effect only where the base is distilled.
        Raises: ConditionShapeError, if `condition` is not `[batch, tokens, dim]` of this base.
        """
        if condition.shape[2] != self.condition_shape[1]:
            raise ConditionShapeError(
                f"condition has width {condition.shape[2]}, base {self.name} takes {self.condition_shape[1]}: "
                "give states of this base's text encoder, or an attack trained for this base"
            )
        whole = not self.one_at_a_time or torch.is_grad_enabled() or self._in_stack
        size = len(latents) if whole else 1
        parts = zip(
            latents.to(self.dtype).split(size), timesteps.split(size), condition.to(self.dtype).split(size), strict=True
        )
        return torch.cat([self._denoise(*part, guidance) for part in parts]).to(latents.dtype)

    def recompute(self) -> None:
        """From now on compute activations anew where a backward pass needs them, instead of keeping them (Chen et al. 2016)."""
        self.denoiser.enable_gradient_checkpointing()

    def add_noise(
        self,
        latents: Float[Tensor, "batch channels h w"],
        noise: Float[Tensor, "batch channels h w"],
        timesteps: Num[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels h w"]:
        """`x_t` of the base's noise schedule."""
        return self.schedule.add_noise(latents, noise, timesteps)

    @contextmanager
    def adapted(self, adapter: Adapter) -> Iterator[None]:
        """Context in which the base runs with the adapter, through peft's LoRA layers. An unknown scale counts as 1.

        Raises: as `check`.
        """
        self.check(adapter)
        try:
            for component, model in self.components.items():
                lora_layers.attach(model, component, adapter)
            yield
        finally:
            for model in self.components.values():
                lora_layers.detach(model)

    @contextmanager
    def stacked(self, stack: Stack) -> Iterator[None]:
        """Context in which sample `i` of a batch of `K m` runs through adapter `i // m` of the stack."""
        places = {
            f"{component}.{lora_layers.canonical(component, path)}": (model, path)
            for component, model in self.components.items()
            for path, _ in model.named_modules()
        }
        self._in_stack = True  # the batch then belongs to the adapters and cannot be cut
        try:
            with stack.installed(places):
                yield
        finally:
            self._in_stack = False

    def bare(self) -> AbstractContextManager[None]:
        """Context in which an attached adapter is switched off."""
        return lora_layers.switched_off(tuple(self.components.values()))

    def multiplied(self, factor: float) -> AbstractContextManager[None]:
        """Context in which an attached adapter's updates count `factor` times. The update of a DoRA is not linear in it."""
        return lora_layers.multiplied(tuple(self.components.values()), factor)

    def check(self, adapter: Adapter) -> None:
        """Refuse an adapter that this base cannot run with.

        Raises: BaseMismatchError, in one line with the first misfit, when the adapter belongs to another base; AdapterError,
        when it is a DoRA that peft's layers cannot hold.
        """
        misfits = []
        for name, factors in adapter.factors.items():
            shape = self.modules.get(name)
            if shape is None:
                misfits.append(f"{name} is not in it")
            elif (factors.up.shape[0], *factors.down.shape[1:]) != tuple(shape):
                have = (factors.up.shape[0], *factors.down.shape[1:])
                misfits.append(f"{name} is {list(have)} in the adapter and {list(shape)} in the base")
        if misfits:
            families = families_of_adapter(adapter)
            fits = f"; it fits {titles(families)}" if families else ""
            raise BaseMismatchError(
                f"the adapter does not fit base {self.name!r}: {len(misfits)} of {len(adapter.factors)} modules differ, "
                f"the first: {misfits[0][:200]}{fits}; give the base that it was trained on with --base"
            )
        across = [name for name, m in adapter.magnitudes.items() if m.shape[0] != adapter.factors[name].up.shape[0]]
        if across:
            raise AdapterError(
                f"{across[0]} and {len(across) - 1} others have DoRA magnitudes over their columns, which peft cannot apply: merge "
                "the file into its base with the tool that made it, and extract it again as a plain LoRA"
            )

    @property
    def _latent_scale(self) -> tuple[float, float]:
        """Scale and shift: the denoiser takes `scale (latents - shift)`."""
        return float(self.vae.config.get("shift_factor") or 0.0), float(self.vae.config["scaling_factor"])

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
