"""Scores of how well an adapted model knows one photo; greater is more like a photo that it was trained on.

The attacker has the photo, the file and the base, and knows neither the caption nor the trigger. Every score stands under the class
prompt, at fixed noise levels and with fixed noise, the same for every photo.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Num
from torch import Tensor

from loraleak.bases import DiffusersBase

__all__ = ["PHOTO_SCORES", "PhotoScore", "Probing"]

_PIA_LEVEL, _PIA_NORM = 0.2, 4
_SECMI_LEVEL, _SECMI_STEP = 0.1, 0.01
_NEIGHBOURS = 4
_LEAST_CROP = 0.85


@dataclass(frozen=True)
class Probing:
    """How photos are probed. While a score is computed, the adapter is attached to the base."""

    base: DiffusersBase
    condition: Float[Tensor, "tokens dim"]
    """State of the class prompt."""
    empty: Float[Tensor, "tokens dim"]
    """State of the empty prompt."""
    levels: int = 16
    """Noise levels, one pass a photo each."""
    seed: int = 0

    def errors(
        self, latents: Float[Tensor, "photos channels h w"], condition: Float[Tensor, "tokens dim"] | None = None
    ) -> Float[Tensor, "photos levels"]:
        """Mean squared errors of the predictions at levels that are spread evenly over the schedule. All photos get the same
        noise."""
        generator = torch.Generator().manual_seed(self.seed)
        share = (torch.arange(self.levels) + 0.5) / self.levels
        timesteps = self.base.timesteps[(share * self.base.noise_levels).long()].to(latents.device)
        noise = torch.randn((self.levels, *latents.shape[1:]), generator=generator).to(latents)
        columns = []
        for timestep, drawn in zip(timesteps, noise, strict=True):
            here, same = timestep.expand(len(latents)), drawn.expand(len(latents), -1, -1, -1)
            predicted = self.predict(self.base.add_noise(latents, same, here), here, condition)
            columns.append((predicted - self.base.schedule.target(latents, same, here)).square().flatten(1).mean(1))
        return torch.stack(columns, dim=1)

    @torch.no_grad()
    def predict(
        self,
        noisy: Float[Tensor, "photos channels h w"],
        timesteps: Num[Tensor, " photos"],
        condition: Float[Tensor, "tokens dim"] | None = None,
    ) -> Float[Tensor, "photos channels h w"]:
        """Predictions under the class prompt, or another condition, in batches that the base can hold."""
        states = (self.condition if condition is None else condition).expand(len(noisy), -1, -1)
        parts = zip(*(whole.split(self.base.at_once) for whole in (noisy, timesteps, states)), strict=True)
        return torch.cat([self.base.predict(*part) for part in parts])

    def level(self, share: float, latents: Tensor) -> Num[Tensor, " photos"]:
        """The timestep at this share of the schedule, for each photo."""
        return self.base.timesteps[int(share * self.base.noise_levels)].to(latents.device).expand(len(latents))

    def noise_in(
        self, noisy: Float[Tensor, "photos channels h w"], timesteps: Num[Tensor, " photos"]
    ) -> tuple[Float[Tensor, "photos channels h w"], Float[Tensor, "photos channels h w"]]:
        """The clean latents and the noise that a prediction takes noisy latents apart into."""
        clean = self.base.schedule.denoised(noisy, self.predict(noisy, timesteps), timesteps)
        nothing = torch.zeros_like(noisy)
        share = self.base.add_noise(nothing, torch.ones_like(noisy), timesteps)
        return clean, (noisy - self.base.add_noise(clean, nothing, timesteps)) / share


PhotoScore = Callable[[Probing, Float[Tensor, "photos channels h w"]], Float[Tensor, " photos"]]
"""Function of a probing and of the photos' latents, while the adapter is attached."""


def loss(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """The adapted model's own loss, negated (Carlini et al. 2023, arXiv 2301.13188)."""
    return -probing.errors(latents).mean(1)


def loss_difference(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """The base's loss less the adapted model's, on the same noise. It takes away how hard a photo is for anybody, because every
    stranger has the base."""
    with probing.base.bare():
        before = probing.errors(latents)
    return (before - probing.errors(latents)).mean(1)


def loss_ratio(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """The logarithm of the base's loss over the adapted model's, averaged over levels, so that each level counts alike."""
    with probing.base.bare():
        before = probing.errors(latents)
    return (before / probing.errors(latents)).log().mean(1)


def pia(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """PIA (Kong et al. 2024, arXiv 2305.18355): the noise that the model sees in the clean photo, put in, is seen again
    at level 200 of 1,000. The distance is in the 4-norm."""
    start, later = probing.level(0.0, latents), probing.level(_PIA_LEVEL, latents)
    _, seen = probing.noise_in(latents, start)
    _, again = probing.noise_in(probing.base.add_noise(latents, seen, later), later)
    return -torch.linalg.vector_norm((seen - again).flatten(1), ord=_PIA_NORM, dim=1)


def secmi(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """SecMI (Duan et al. 2023, arXiv 2302.01316, its statistic): from level 100 of 1,000, reached in deterministic steps
    of 10, one step on and back. The squared distance is what a member keeps small."""
    noisy = latents
    shares = [_SECMI_STEP * k for k in range(round(_SECMI_LEVEL / _SECMI_STEP) + 2)]
    for here, there in pairwise(shares[:-1]):
        noisy = _moved(probing, noisy, here, there)
    onward = _moved(probing, noisy, shares[-2], shares[-1])
    back = _moved(probing, onward, shares[-1], shares[-2])
    return -(back - noisy).square().flatten(1).sum(1)


def fluctuation(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """How much the loss rises, as a share, from a photo to its neighbours: the idea of PFAMI (Fu et al. 2023, arXiv 2308.12143), with
    crops of the latents in the place of crops of the picture."""
    own = probing.errors(latents).mean(1)
    strengths = torch.linspace(1, _LEAST_CROP, _NEIGHBOURS + 1)[1:]
    rises = [(probing.errors(_cropped(latents, float(share))).mean(1) - own) / own for share in strengths]
    return torch.stack(rises).mean(0)


def prompt_difference(probing: Probing, latents: Float[Tensor, "photos channels h w"]) -> Float[Tensor, " photos"]:
    """The loss without a prompt less the loss with it: the idea of CLiD (Zhai et al. 2024, arXiv 2405.14800), with the class prompt in
    the place of the caption, which nobody else knows."""
    return (probing.errors(latents, probing.empty) - probing.errors(latents)).mean(1)


PHOTO_SCORES: Mapping[str, PhotoScore] = {
    "loss-ratio": loss_ratio,
    "loss-difference": loss_difference,
    "loss": loss,
    "pia": pia,
    "secmi": secmi,
    "fluctuation": fluctuation,
    "prompt-difference": prompt_difference,
}


def _moved(probing: Probing, noisy: Tensor, here: float, there: float) -> Tensor:
    """A deterministic step from one share of the schedule to another (Song et al. 2021, DDIM)."""
    clean, noise = probing.noise_in(noisy, probing.level(here, noisy))
    return probing.base.add_noise(clean, noise, probing.level(there, noisy))


def _cropped(latents: Tensor, share: float) -> Tensor:
    """The centred part of this share of the side, at the size of the whole."""
    size = latents.shape[-1]
    inside = max(1, round(share * size))
    start = (size - inside) // 2
    part = latents[..., start : start + inside, start : start + inside]
    return torch.nn.functional.interpolate(part, size=latents.shape[-2:], mode="bilinear", align_corners=False)
