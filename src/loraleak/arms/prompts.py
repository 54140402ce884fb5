"""Arms that only choose a prompt and whether the LoRA is on."""

from dataclasses import dataclass
from typing import ClassVar

from loraleak.arms.scene import Arm, Need, Scene
from loraleak.bases import Denoiser, guided, times_strength
from loraleak.types import Adversary, ArmRole

__all__ = ["BaseClass", "LoraClass", "LoraEmpty", "LoraTrigger"]


@dataclass(frozen=True)
class BaseClass(Arm):
    name: str = "base-class"
    role: ArmRole = "floor"
    says: str = "The base model without your file: it cannot know the person, so this is what chance looks like."
    control: str | None = None

    def denoiser(self, scene: Scene) -> Denoiser:
        with scene.base.bare():
            condition, empty = scene.base.embed([scene.class_prompt, ""])
        return times_strength(guided(scene.base, condition, empty, scene.guidance_scale), 0.0)


@dataclass(frozen=True)
class LoraClass(Arm):
    name: str = "lora-class"
    role: ArmRole = "attack"
    says: str = "Anybody with your file who types an ordinary prompt, without your trigger word."
    control: str | None = "base-class"

    def denoiser(self, scene: Scene) -> Denoiser:
        condition, empty = scene.base.embed([scene.class_prompt, ""])
        return guided(scene.base, condition, empty, scene.guidance_scale)


@dataclass(frozen=True)
class LoraEmpty(Arm):
    name: str = "lora-empty"
    role: ArmRole = "attack"
    says: str = "Anybody with your file who types nothing at all."
    control: str | None = "base-class"

    def denoiser(self, scene: Scene) -> Denoiser:
        (empty,) = scene.base.embed([""])
        return guided(scene.base, empty, empty, 1.0)


@dataclass(frozen=True)
class LoraTrigger(Arm):
    name: str = "lora-trigger"
    role: ArmRole = "ceiling"
    says: str = "You, with your own prompt and trigger word: the most that the file can show."
    control: str | None = "base-class"
    needs: ClassVar[frozenset[Need]] = frozenset({"prompt"})
    adversary: ClassVar[Adversary] = "owner"

    def denoiser(self, scene: Scene) -> Denoiser | None:
        if scene.owner_prompt is None:
            return None
        condition, empty = scene.base.embed([scene.owner_prompt, ""])
        return guided(scene.base, condition, empty, scene.guidance_scale)
