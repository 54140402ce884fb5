"""Attacks on the opposite of the update that a file holds, for files whose sign nobody can tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from loraleak.arms.scene import Arm, Need, Scene
from loraleak.arms.strength import at_strength
from loraleak.bases import Denoiser, DiffusersBase, Mixture, Timestep, times_strength
from loraleak.bases.estimate import Estimate
from loraleak.types import Adversary, ArmRole

__all__ = ["Turned", "with_turned"]


@dataclass(frozen=True)
class Turned(Arm):
    """An arm that runs with every update times -1."""

    arm: Arm

    @property
    def name(self) -> str:
        return f"{self.arm.name}-turned"

    @property
    def role(self) -> ArmRole:
        return self.arm.role

    @property
    def says(self) -> str:
        return f"{self.arm.says} Here with the opposite sign of your file's update."

    @property
    def control(self) -> str | None:
        return self.arm.control

    @property
    def needs(self) -> frozenset[Need]:
        return self.arm.needs

    @property
    def adversary(self) -> Adversary:
        return self.arm.adversary

    def search(self, base: DiffusersBase) -> Estimate | None:
        return self.arm.search(base)

    def denoiser(self, scene: Scene) -> Denoiser | None:
        base = scene.base
        with base.multiplied(-1.0):
            straight = self.arm.denoiser(replace(scene, adapter=at_strength(scene.adapter, -1.0)))
        if straight is None:
            return None

        if isinstance(straight, Mixture):
            return times_strength(straight, -1.0)

        def turned(latents: Tensor, timestep: Timestep) -> Tensor:
            with base.multiplied(-1.0):
                return straight(latents, timestep)

        return turned


def with_turned(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The arms, and every attack among them once more, turned."""
    return (*arms, *(Turned(arm) for arm in arms if arm.role == "attack"))
