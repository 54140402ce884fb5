"""Estimates of what a long run takes: memory, counted on a copy of the models without data, and time, measured on one pass."""

import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from loraleak.bases.diffusers_base import DiffusersBase

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """A rough estimate. Libraries' own workspaces and fragments are not counted, and a busy GPU takes less time a picture."""

    weights: int
    """Bytes of the models that are on the device at once."""
    working: int
    """Bytes that the largest pass takes on top, at its peak."""
    seconds: float

    def then(self, other: "Estimate") -> "Estimate":
        """Estimate of both runs, one after the other."""
        working = max(self.working, other.working)
        return Estimate(max(self.weights, other.weights), working, self.seconds + other.seconds)

    @property
    def says(self) -> str:
        whole = self.weights + self.working
        return (
            f"this run takes about {_bytes(whole)} of memory ({_bytes(self.weights)} weights, {_bytes(self.working)} work) "
            f"and {_duration(self.seconds)}"
        )


def estimate(base: DiffusersBase, *, passes: int, batch: int, trained: Collection[str] = ()) -> Estimate:
    """Estimate a run in which `passes` pictures go through the denoiser, at most `batch` at once. `trained` names the modules
    that get factors, and adds a backward pass.

    The time of one picture is measured here, on the second of two passes; a backward pass counts as two.
    """
    sizes = [_weights(model) for model in (*base.components.values(), base.vae)]
    offloaded = getattr(base.pipeline, "_offload_device", None) is not None
    size = 1 if base.one_at_a_time and not trained else batch
    working = max(denoiser_work(base, size, trained), decoder_work(base))
    return Estimate(max(sizes) if offloaded else sum(sizes), working, passes * _seconds(base) * (3 if trained else 1))


def denoiser_work(base: DiffusersBase, batch: int, trained: Collection[str] = ()) -> int:
    """Peak bytes of one pass of `batch` pictures, and of its backward pass where modules are trained."""
    ghost = copy(base)
    ghost.denoiser = _without_data(base.denoiser)
    if base.one_at_a_time:
        ghost.denoiser.enable_gradient_checkpointing()
    for name, module in ghost.denoiser.named_modules():
        if f"{base.denoiser_name}.{name}" in trained:
            module.weight.requires_grad_()  # so that its input is kept, as for factors
    latents = torch.empty(batch, *base.latent_shape, dtype=base.dtype, device="meta")
    condition = torch.empty(batch, *base.condition_shape, dtype=base.dtype, device="meta")
    timesteps = base.timesteps[:1].to("meta").expand(batch)
    with torch.set_grad_enabled(bool(trained)), _fused_attention(), _Peak(ghost.denoiser) as peak:
        output = ghost._denoise(latents, timesteps, condition, 1.0)
        if trained:
            needed = [p for p in ghost.denoiser.parameters() if p.requires_grad][:1]
            torch.autograd.grad(output.sum(), needed, allow_unused=True)
    return peak.most


def decoder_work(base: DiffusersBase) -> int:
    """Peak bytes of decoding `at_once` pictures."""
    vae = _without_data(base.vae)
    if base.one_at_a_time and hasattr(vae, "enable_tiling"):
        vae.enable_tiling()
    latents = torch.empty(base.at_once, *base.latent_shape, dtype=base.vae.dtype, device="meta")
    with torch.no_grad(), _fused_attention(), _Peak(vae) as peak:
        vae.decode(latents)
    return peak.most


class _Peak(TorchDispatchMode):
    """A counter of bytes. Each tensor counts from when it is made until it is dropped; the model's own tensors do not count."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
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


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Context in which attention is computed as devices do, without the matrix of attention weights. Tensors without data would
    make that matrix otherwise.

    torch's function itself is replaced, so that the passes that gradients recompute use the new one too.
    """
    usual = F.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        attended: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]
        return attended

    F.scaled_dot_product_attention = fused
    try:
        yield
    finally:
        F.scaled_dot_product_attention = usual


def _without_data(model: Any) -> Any:
    with torch.device("meta"):
        ghost = type(model).from_config(model.config).requires_grad_(False).eval()
    return nn.Module.to(ghost, next(model.parameters()).dtype)


def _weights(model: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


@torch.no_grad()
def _seconds(base: DiffusersBase) -> float:
    latents = torch.zeros(1, *base.latent_shape, device=base.device, dtype=base.like.dtype)
    condition = torch.zeros(1, *base.condition_shape, device=base.device, dtype=base.like.dtype)
    timesteps = base.timesteps[:1].to(base.device)
    start = 0.0
    for _ in range(2):
        start = time.perf_counter()
        base.predict(latents, timesteps, condition).cpu()  # waits for the device
    return time.perf_counter() - start


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**29 else f"{max(1, round(count / 2**20))} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
