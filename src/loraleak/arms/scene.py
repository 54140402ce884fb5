"""The scene that an arm gets, and the protocol of arms."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from loraleak.bases import Denoiser, DiffusersBase
from loraleak.bases.estimate import Estimate
from loraleak.inversion import WeightAutoencoder
from loraleak.types import Adapter, Adversary, ArmRole

__all__ = ["Arm", "Need", "Scene"]

Need: TypeAlias = Literal["attack", "prompt"]
"""Needs of arms: `attack` is a weight autoencoder that reads this adapter, `prompt` the owner's own prompt."""


@dataclass(frozen=True)
class Scene:
    """One victim's adapter on its base. While an arm runs, the adapter is attached to the base."""

    base: DiffusersBase
    adapter: Adapter
    class_prompt: str = "a photo of a person"
    owner_prompt: str | None = None
    """The owner's own prompt with the trigger; None where it is not known."""
    guidance_scale: float = 3.0
    """Scale of classifier-free guidance, for prompts and for z."""
    attack: WeightAutoencoder | None = None
    """Weight autoencoder that reads the adapter; None leaves out the arms that need one."""
    step: int | None = None
    """Fine-tuning step at which the adapter was saved; None where it is not known."""
    seed: int = 0
    """Seed of the codes that control arms draw."""

    @property
    def offers(self) -> frozenset[Need]:
        """Needs of arms that this scene meets."""
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
        """Name of the arm above which this one's excess is measured; None for a floor."""
        ...

    @property
    def needs(self) -> frozenset[Need]:
        """Needs that a scene must meet before `denoiser` is called."""
        return frozenset()

    @property
    def adversary(self) -> Adversary:
        """Who could use this arm; the report groups the arms by it."""
        return "file"

    def search(self, base: DiffusersBase) -> Estimate | None:
        """Estimate of what `denoiser` itself takes; None for next to nothing."""
        return None

    def denoiser(self, scene: Scene) -> Denoiser | None:
        """The prediction to sample with; None where the adapter has nothing that this arm reads."""
        ...
