"""Training-free extraction: push away from the base, along what fine-tuning changed."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from loraleak.arms.scene import Arm, Scene
from loraleak.bases import Denoiser, Mixture, Pass
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

        def amplified(before: Tensor, tuned: Tensor) -> Tensor:
            return before + self.weight * (tuned - before)

        return Mixture(scene.base, (Pass(condition, strength=0.0), Pass(tuned_condition)), amplified)
