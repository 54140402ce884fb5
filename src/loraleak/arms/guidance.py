"""Training-free extraction: push away from the base, along what fine-tuning changed."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from loraleak.arms.scene import Arm, Scene, without_adapter
from loraleak.bases import Denoiser, Timestep, guided
from loraleak.types import Adversary, ArmRole

__all__ = ["LoraGuidance"]


@dataclass(frozen=True)
class LoraGuidance(Arm):
    """Guidance away from the base: `eps_0 + w (eps_ft - eps_0)`, both with the class prompt (Wu et al., FineXtract, ICML 2025).
    `eps` is a velocity where the base predicts one."""

    name: str = "lora-guidance"
    role: ArmRole = "attack"
    says: str = "Somebody with your file and the public base model, who amplifies the difference between the two."
    control: str | None = "base-class"
    adversary: ClassVar[Adversary] = "base"
    weight: float = 3.0

    def denoiser(self, scene: Scene) -> Denoiser:
        (tuned_condition,) = scene.base.embed([scene.class_prompt])
        with scene.base.bare():
            (condition,) = scene.base.embed([scene.class_prompt])
        tuned = guided(scene.base, tuned_condition, tuned_condition, 1.0)
        plain = without_adapter(scene.base, guided(scene.base, condition, condition, 1.0))

        def denoiser(latents: Tensor, timestep: Timestep) -> Tensor:
            before = plain(latents, timestep)
            return before + self.weight * (tuned(latents, timestep) - before)

        return denoiser
