"""Estimates of what a long run takes. Memory is counted on a copy of the models without data, beside what the process holds
already. `speed` tells the time."""

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from loraleak.bases import lora_layers
from loraleak.bases.diffusers_base import DiffusersBase
from loraleak.bases.ghost import fused_attention, without_data
from loraleak.bases.speed import speed_of
from loraleak.bases.stacked_layers import Stack
from loraleak.types import Adapter

__all__ = ["Estimate", "Inside", "estimate", "with_adapter", "with_stack"]


Inside = Callable[[DiffusersBase], AbstractContextManager[None]]
"""Function of a base: the context in which its denoiser runs, with one adapter or many."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of memory and time. A busy GPU takes less time a picture."""

    weights: int
    """Bytes of the models that are on the device at once."""
    working: int
    """Bytes that the largest pass takes on top, at its peak."""
    seconds: float
    program: int = 0
    """Bytes of memory that this process holds besides: Python and its libraries, the adapter, photos, the embedder. 0 where it
    was not measured, and where the models are on a GPU, whose memory holds none of it."""

    def then(self, other: "Estimate") -> "Estimate":
        """Estimate of both runs, one after the other."""
        measured = [program for program in (self.program, other.program) if program]
        return Estimate(
            max(self.weights, other.weights),
            max(self.working, other.working),
            self.seconds + other.seconds,
            min(measured, default=0),  # the later one counts what the earlier measurement left behind
        )

    @property
    def memory(self) -> int:
        """Bytes of the device's memory at the peak."""
        return self.weights + self.program + self.working

    @property
    def says(self) -> str:
        program = f"{_bytes(self.program)} program and photos, " if self.program else ""
        return (
            f"this run takes about {_bytes(self.memory)} of memory ({_bytes(self.weights)} weights, {program}"
            f"{_bytes(self.working)} work) and {_duration(self.seconds)}"
        )


def estimate(
    base: DiffusersBase,
    *,
    passes: int,
    batch: int,
    pictures: int = 0,
    trained: Collection[str] = (),
    inside: Inside | None = None,
) -> Estimate:
    """Estimate a run in which `passes` pictures go through the denoiser, at most `batch` at once, and `pictures` are decoded.
    `trained` names the modules whose inputs a backward pass needs. `inside` puts adapters into a copy of the base.

    The time of one picture is measured here, once for a base; a backward pass counts as two.
    """
    held = _program(base)
    sizes = [_weights(model) for model in (*base.components.values(), base.vae)]
    offloaded = getattr(base.pipeline, "_offload_device", None) is not None
    size = 1 if base.one_at_a_time and not trained else batch
    working = max(denoiser_work(base, size, trained, inside), encoder_work(base) if trained else decoder_work(base))
    speed = speed_of(base)
    seconds = passes * speed.denoising * (3 if trained else 1) + pictures * speed.decoding
    return Estimate(max(sizes) if offloaded else sum(sizes), working, seconds, held)


def denoiser_work(base: DiffusersBase, batch: int, trained: Collection[str] = (), inside: Inside | None = None) -> int:
    """Peak bytes of one pass of `batch` pictures, and of its backward pass where modules are trained."""
    ghost = copy(base)
    ghost.denoiser = without_data(base.denoiser)
    ghost.components = {base.denoiser_name: ghost.denoiser}
    if base.one_at_a_time:
        ghost.denoiser.enable_gradient_checkpointing()
    if inside is None:
        for name, module in ghost.denoiser.named_modules():
            if f"{base.denoiser_name}.{name}" in trained:
                module.weight.requires_grad_()  # so that its input is kept, as for factors
    latents = torch.empty(batch, *base.latent_shape, dtype=base.dtype, device="meta")
    condition = torch.empty(batch, *base.condition_shape, dtype=base.dtype, device="meta")
    timesteps = base.timesteps[:1].to("meta").expand(batch)
    peak = _Peak(ghost.denoiser, copies=base.device.type == "cpu")
    adapters = nullcontext() if inside is None else inside(ghost)
    with torch.set_grad_enabled(bool(trained)), fused_attention(), peak, adapters:
        output = ghost._denoise(latents, timesteps, condition, 1.0)
        if trained:
            torch.autograd.backward(output.sum())
    return peak.most


def with_adapter(adapter: Adapter) -> Inside:
    """Context in which a copy without data runs with this adapter. DoRA's magnitudes are left out."""

    @contextmanager
    def attached(ghost: DiffusersBase) -> Iterator[None]:
        with torch.device("meta"):
            lora_layers.attach(ghost.denoiser, ghost.denoiser_name, replace(adapter, magnitudes={}))
        yield

    return attached


def with_stack(shapes: Mapping[str, torch.Size], ranks: Sequence[int]) -> Inside:
    """Context in which a copy without data trains adapters of these ranks."""

    @contextmanager
    def stacked(ghost: DiffusersBase) -> Iterator[None]:
        like = torch.empty(0, dtype=ghost.like.dtype, device="meta")
        mine = {name: shape for name, shape in shapes.items() if name.startswith(f"{ghost.denoiser_name}.")}
        with ghost.stacked(Stack(mine, ranks, [1.0] * len(ranks), like)):
            yield

    return stacked


def decoder_work(base: DiffusersBase) -> int:
    """Peak bytes of decoding `at_once` pictures."""
    ghost, peak = _ghost_of_autoencoder(base)
    latents = torch.empty(base.at_once, *base.latent_shape, dtype=base.vae.dtype, device="meta")
    with torch.no_grad(), fused_attention(), peak:
        ghost.pixels(latents)
    return peak.most


def encoder_work(base: DiffusersBase) -> int:
    """Peak bytes of encoding `at_once` pictures."""
    ghost, peak = _ghost_of_autoencoder(base)
    pixels = torch.empty(base.at_once, 3, base.resolution, base.resolution, dtype=base.vae.dtype, device="meta")
    with torch.no_grad(), fused_attention(), peak:
        ghost.latents(pixels)
    return peak.most


def _ghost_of_autoencoder(base: DiffusersBase) -> "tuple[DiffusersBase, _Peak]":
    ghost = copy(base)
    ghost.vae = without_data(base.vae)
    if base.one_at_a_time and hasattr(ghost.vae, "enable_tiling"):
        ghost.vae.enable_tiling()
    return ghost, _Peak(ghost.vae, copies=base.device.type == "cpu")


class _Peak(TorchDispatchMode):
    """A counter of bytes. Each tensor counts from when it is made until it is dropped; the model's own tensors do not count."""

    def __init__(self, model: nn.Module, *, copies: bool = False) -> None:
        """`copies` counts what a CPU's convolution puts into another order: its weight, and what it reads."""
        super().__init__()
        self.copies = copies
        self.now = self.most = 0
        self.known = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        if self.copies and function in _CONVOLUTIONS:
            self.most = max(self.most, self.now + _reordered(function, args))
        return made

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


_CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


def _reordered(function: Any, args: Any) -> int:
    """Bytes of the copies that oneDNN makes in a convolution, or in the gradient of what it reads; none where the kernel is one
    pixel."""
    read, weight = (args[0], args[1]) if function is _CONVOLUTIONS[0] else (args[0], args[2])
    return read.nbytes + weight.nbytes if max(weight.shape[2:]) > 1 else 0


def _weights(model: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def _program(base: DiffusersBase) -> int:
    """Bytes that this process holds beside the models, measured; 0 where they are not in this machine's memory."""
    if base.device.type != "cpu":
        return 0
    base.sha256  # noqa: B018 - it reads every weight, so that all of them are in memory, and can be taken off
    models = sum(_weights(model) for model in (*base.components.values(), base.vae))
    return max(0, psutil.Process().memory_info().rss - models)


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
