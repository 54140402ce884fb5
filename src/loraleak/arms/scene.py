"""What an arm gets, and what it is."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from loraleak.bases import Denoiser, DiffusersBase, Timestep
from loraleak.inversion import WeightAutoencoder
from loraleak.types import Adapter, ArmRole

__all__ = ["Arm", "Need", "Scene", "without_adapter"]

Need: TypeAlias = Literal["attack", "prompt"]
"""A weight autoencoder that reads this adapter; the owner's own prompt."""


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
    def offers(self) -> frozenset[Need]:
        """What an arm may need and finds here."""
        there: dict[Need, object] = {"attack": self.attack, "prompt": self.owner_prompt}
        return frozenset(need for need, value in there.items() if value is not None)

    @property
    def attack_sha256(self) -> str:
        """SHA-256 of the attack's weights; empty where there is none."""
        return "" if self.attack is None else self.attack.sha256


@runtime_checkable
class Arm(Protocol):
    """One way of sampling a victim's LoRA. An arm derives from it."""

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

    @property
    def needs(self) -> frozenset[Need]:
        """What a scene must offer; `denoiser` is asked where it does."""
        return frozenset()

    def denoiser(self, scene: Scene) -> Denoiser | None:
        """The prediction to sample with; None where there is nothing in the adapter that this arm looks at."""
        ...


def without_adapter(base: DiffusersBase, denoiser: Denoiser) -> Denoiser:
    """The same denoiser, with the adapter off."""

    def bare(latents: Tensor, timestep: Timestep) -> Tensor:
        with base.bare():
            return denoiser(latents, timestep)

    return bare
