"""What an arm gets, and what it is."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from loraleak.bases import Denoiser, DiffusersBase
from loraleak.inversion import WeightAutoencoder
from loraleak.types import Adapter, ArmRole

__all__ = ["Arm", "Scene"]


@dataclass(frozen=True)
class Scene:
    """One victim's adapter on its base. While an arm runs, the adapter is attached to the base."""

    base: DiffusersBase
    adapter: Adapter
    class_prompt: str = "a photo of a person"
    owner_prompt: str | None = None
    """The owner's own prompt with the trigger; None where it isn't known."""
    guidance_scale: float = 3.0
    """Classifier-free guidance of prompts and of z."""
    attack: WeightAutoencoder | None = None
    """Reads the weights; None leaves out the arms that need one."""
    step: int | None = None
    """After how many steps of fine-tuning the adapter was saved, where that is known."""
    seed: int = 0
    """Of the codes that control arms draw."""

    @property
    def attack_sha256(self) -> str:
        """SHA-256 of the attack's weights; empty where there is none."""
        return "" if self.attack is None else self.attack.sha256


@runtime_checkable
class Arm(Protocol):
    """One way of sampling a victim's LoRA (method.md, "Arms")."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> ArmRole: ...

    @property
    def says(self) -> str:
        """One plain sentence for the report: who could do this, and with what."""
        ...

    @property
    def control(self) -> str | None:
        """The arm that this one's excess is taken over; None for a floor."""
        ...

    def denoiser(self, scene: Scene) -> Denoiser | None:
        """The prediction to sample with; None where the scene lacks what this arm needs."""
        ...
