"""Matching updates, the baseline of the paper: guess pictures and a prompt whose gradient would have made this adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from loraleak.arms.scene import Arm, Scene
from loraleak.bases import Denoiser, DiffusersBase, Stack, Timestep
from loraleak.inversion import stack_adapters
from loraleak.types import Adversary, ArmRole

__all__ = ["MatchingUpdates", "guess", "guessed_start", "mismatch"]


@dataclass(frozen=True)
class MatchingUpdates(Arm):
    """Gradient matching (Geiping et al. 2020) of latents and a prompt embedding, as the baseline of Yao 2024.

    B starts at zero, so the first steps move it along `-dL/dB = -G A^T`, with A hardly changed: guesses are fitted until that
    gradient, of the base, points along -B. No initial weights are needed, for A as shared stands for them. The published code
    guesses a start instead, and its guesses get no gradient from matching, because an optimiser's step cuts it off.
    """

    name: str = "matching-updates"
    role: ArmRole = "attack"
    says: str = "Somebody who guesses pictures until training on them would have changed the base model as your file does."
    control: str | None = "base-class"
    adversary: ClassVar[Adversary] = "base"
    guesses: int = 8
    iterations: int = 60
    rate: float = 0.1
    start: Literal["shared", "guessed"] = "shared"
    """A whose gradient is matched: that of the file, or random numbers in the place of the start, as published."""

    def denoiser(self, scene: Scene) -> Denoiser | None:
        if not any(name.startswith(f"{scene.base.denoiser_name}.") for name in scene.adapter.factors):
            return None
        with scene.base.bare():
            start = guessed_start(scene) if self.start == "guessed" else None
            latents = guess(scene, guesses=self.guesses, iterations=self.iterations, rate=self.rate, start=start)

        def denoiser(noisy: Tensor, timestep: Timestep) -> Tensor:
            """The prediction that leads to the guesses from any start."""
            wanted = latents[torch.arange(len(noisy), device=latents.device) % len(latents)]
            return scene.base.schedule.leading_to(noisy, wanted, torch.full((len(noisy),), timestep, device=noisy.device))

        return denoiser


def guessed_start(scene: Scene) -> dict[str, Float[Tensor, "rank *d_in"]]:
    """Factors A as training might have started from them, from the scene's seed."""
    generator = torch.Generator().manual_seed(scene.seed)
    return {
        name: (2 * torch.rand(f.down.shape, generator=generator) - 1) / f.down[0].numel() ** 0.5
        for name, f in scene.adapter.factors.items()
    }


@torch.enable_grad()
def guess(
    scene: Scene, *, guesses: int, iterations: int, rate: float, start: Mapping[str, Float[Tensor, "rank *d_in"]] | None = None
) -> Float[Tensor, "guesses channels h w"]:
    """Latents whose gradient matches the adapter, by Adam with a decaying rate, with a pull to the size of real latents.

    `start` are the factors A before the first step; None takes those of the adapter.
    """
    base = scene.base
    generator = torch.Generator().manual_seed(scene.seed)
    latents = torch.randn(guesses, *base.latent_shape, generator=generator).to(base.device).requires_grad_()
    condition = base.embed([scene.class_prompt]).clone().requires_grad_()
    optimiser = torch.optim.Adam([latents, condition], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    like = base.like
    names = [name for name in scene.adapter.factors if name.startswith(f"{base.denoiser_name}.")]
    shapes = {name: base.modules[name] for name in names}
    weights = stack_adapters([scene.adapter], shapes)
    stack = Stack(shapes, [weights.up[names[0]].shape[-1]], [1.0], like)
    with torch.no_grad():
        for name in names:
            stack.down[name].copy_(weights.down[name] if start is None else start[name][None])
    wanted = [(weights.scales.view(-1, 1, 1) * weights.up[name]).to(like) for name in names]
    for _ in range(iterations):
        times = base.timesteps[torch.randint(base.noise_levels, (guesses,), generator=generator)].to(base.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        loss = mismatch(base, stack, wanted, latents, condition, times, noise) + 1e-3 * latents.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return latents.detach()


def mismatch(
    base: DiffusersBase,
    stack: Stack,
    wanted: list[Float[Tensor, "1 _d_out rank"]],
    latents: Float[Tensor, "guesses channels h w"],
    condition: Float[Tensor, "1 tokens dim"],
    times: Tensor,
    noise: Tensor,
) -> Float[Tensor, ""]:
    """`1 - cos(-dL/dB, B)` over all modules together, at B = 0, where L is the loss of the guesses."""
    ups = [stack.up[name] for name in stack.shapes]
    with base.stacked(stack), sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
        predicted = base.predict(base.add_noise(latents, noise, times), times, condition.expand(len(latents), -1, -1))
        loss = (predicted - base.schedule.target(latents, noise, times)).square().mean()
        gradients = torch.autograd.grad(loss, ups, create_graph=True, materialize_grads=True)
    return 1 - F.cosine_similarity(
        torch.cat([-g.flatten() for g in gradients]), torch.cat([w.flatten() for w in wanted]), dim=0
    )
