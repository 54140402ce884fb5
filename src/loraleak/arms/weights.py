"""Arms that read the weights: z from a weight autoencoder in the place of a prompt, and the controls that tell what z adds.

Effects (docs/attack.md): key = `lora-mean-z` less `lora-class`; reading = `lora-z` less `lora-swapped-z`; reading alone =
`base-z` less `base-class`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from loraleak.arms.scene import Arm, Need, Scene
from loraleak.bases import Denoiser, Mixture, Pass, times_strength
from loraleak.inversion import WeightAutoencoder
from loraleak.types import Adversary, ArmRole

__all__ = [
    "BaseZ",
    "DecodesZ",
    "LoraMeanZ",
    "LoraRandomZ",
    "LoraSwappedZ",
    "LoraUniversalZ",
    "LoraZ",
    "LoraZGuidance",
    "LoraZKey",
    "decoded",
]


class DecodesZ(Arm):
    """An arm that samples with codes in the place of a prompt."""

    needs: ClassVar[frozenset[Need]] = frozenset({"attack"})
    adversary: ClassVar[Adversary] = "studied"

    def codes(self, scene: Scene, attack: WeightAutoencoder) -> Float[Tensor, "codes tokens dim"]:
        """Codes of the pictures: picture `i` is made with code `i`, modulo their number."""
        return attack.z([scene.adapter], [scene.step], seed=scene.seed)

    def decoded(self, scene: Scene, attack: WeightAutoencoder) -> Mixture:
        """The prediction under the codes."""
        return decoded(scene, self.codes(scene, attack))

    def denoiser(self, scene: Scene) -> Denoiser | None:
        return None if scene.attack is None else self.decoded(scene, scene.attack)


@dataclass(frozen=True)
class LoraZ(DecodesZ):
    name: str = "lora-z"
    role: ArmRole = "attack"
    says: str = "Somebody who reads the weights in your file with a trained attack: no prompt, no trigger word, no photo."
    control: str | None = "lora-swapped-z"


@dataclass(frozen=True)
class LoraZGuidance(DecodesZ):
    """The prediction of `lora-z` plus `w (eps_ft(z) - eps_0(z))`."""

    name: str = "lora-z-guidance"
    role: ArmRole = "attack"
    says: str = "The same reader, who also amplifies the difference between your model and the public base model."
    control: str | None = "lora-swapped-z"
    weight: float = 1.0

    def decoded(self, scene: Scene, attack: WeightAutoencoder) -> Mixture:
        z = self.codes(scene, attack)
        guided_by_z = decoded(scene, z)

        def amplified(without: Tensor, tuned: Tensor, before: Tensor) -> Tensor:
            return guided_by_z.mix(without, tuned) + self.weight * (tuned - before)

        return Mixture(scene.base, (*guided_by_z.passes, Pass(z, strength=0.0)), amplified)


@dataclass(frozen=True)
class LoraZKey(DecodesZ):
    """The mean of two predictions: that of z, which says who it is, and that of the universal z, which opens the adapter (Liu
    et al. 2022, arXiv 2206.01714, eq. 11, with equal weights)."""

    name: str = "lora-z-key"
    role: ArmRole = "attack"
    says: str = "The same reader, who also uses one code that was learned to open any such file."
    control: str | None = "lora-swapped-z"

    def decoded(self, scene: Scene, attack: WeightAutoencoder) -> Mixture:
        return decoded(scene, self.codes(scene, attack), attack.universal_z[None])


@dataclass(frozen=True)
class BaseZ(DecodesZ):
    name: str = "base-z"
    role: ArmRole = "attack"
    says: str = (
        "Somebody who reads the weights and draws what they say with the public base model: your model is not run at all."
    )
    control: str | None = "base-class"

    def decoded(self, scene: Scene, attack: WeightAutoencoder) -> Mixture:
        return times_strength(super().decoded(scene, attack), 0.0)


@dataclass(frozen=True)
class LoraRandomZ(DecodesZ):
    name: str = "lora-random-z"
    role: ArmRole = "control"
    says: str = "A random code in the place of the one read from your file: is it the code, or just your model?"
    control: str | None = "base-class"

    def codes(self, scene: Scene, attack: WeightAutoencoder) -> Float[Tensor, "codes tokens dim"]:
        return attack.random_z(_MAX_IMAGES, seed=scene.seed)


@dataclass(frozen=True)
class LoraSwappedZ(DecodesZ):
    name: str = "lora-swapped-z"
    role: ArmRole = "control"
    says: str = "Codes that were read from other people's files, run through your model."
    control: str | None = "base-class"

    def codes(self, scene: Scene, attack: WeightAutoencoder) -> Float[Tensor, "codes tokens dim"]:
        return attack.others[torch.randperm(len(attack.others), generator=torch.Generator().manual_seed(scene.seed))]


@dataclass(frozen=True)
class LoraMeanZ(DecodesZ):
    name: str = "lora-mean-z"
    role: ArmRole = "control"
    says: str = "One code for everybody, the mean over many files: it opens your model without reading it."
    control: str | None = "lora-class"

    def codes(self, scene: Scene, attack: WeightAutoencoder) -> Float[Tensor, "codes tokens dim"]:
        return attack.mean_z[None]


@dataclass(frozen=True)
class LoraUniversalZ(DecodesZ):
    name: str = "lora-universal-z"
    role: ArmRole = "attack"
    says: str = "One code for everybody, learned to open any such file: no reading, no prompt, no trigger word."
    control: str | None = "lora-class"

    def codes(self, scene: Scene, attack: WeightAutoencoder) -> Float[Tensor, "codes tokens dim"]:
        return attack.universal_z[None]


_MAX_IMAGES = 64
"""Number of different random codes. Further pictures use them again."""


def decoded(scene: Scene, *conditions: Float[Tensor, "codes tokens dim"]) -> Mixture:
    """The prediction `eps_0(empty) + w (eps_ft(z) - eps_0(empty))`, the mean over the conditions. Picture `i` has code `i`.

    Guidance leads away from the *base's* prediction for the empty prompt, because the adapter may show the person there too.
    """
    with scene.base.bare():
        (empty,) = scene.base.embed([""])

    def mix(without: Tensor, *tuned: Tensor) -> Tensor:
        return without + scene.guidance_scale * (torch.stack(tuned).mean(0) - without)

    return Mixture(scene.base, (Pass(empty, strength=0.0), *map(Pass, conditions)), mix)
