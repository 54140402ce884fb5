"""The scene that settings ask for."""

from dataclasses import replace

from loraleak.arms import Scene, Strength, at_strength, find_strength
from loraleak.auditing.audit_settings import AttackSettings
from loraleak.bases import DiffusersBase
from loraleak.kits import Kit, attack_for
from loraleak.types import Adapter

__all__ = ["scene_of", "strength_of", "strengthened"]


def scene_of(adapter: Adapter, base: DiffusersBase, settings: AttackSettings, kit: Kit | None = None) -> Scene:
    """The scene of this adapter on its base, with the attack that reads it where there is one: the one in the settings' file, or
    else that of the kit.

    Raises: UsageError or BaseMismatchError, if the attack that was asked for cannot be used.
    """
    attack = attack_for(base, settings.attack, kit)
    return Scene(
        base,
        adapter,
        class_prompt=settings.class_prompt,
        owner_prompt=settings.prompt,
        guidance_scale=settings.guidance_scale,
        attack=attack if attack is not None and attack.reads(adapter) else None,
        step=settings.step,
        seed=settings.seed,
    )


def strength_of(scene: Scene) -> Strength:
    """The strength that a stranger chooses for the scene's adapter."""
    return find_strength(scene.base, scene.adapter, scene.class_prompt, guidance_scale=scene.guidance_scale, seed=scene.seed)


def strengthened(scene: Scene, strength: Strength) -> Scene:
    """The scene with the adapter at this strength."""
    return replace(scene, adapter=at_strength(scene.adapter, strength.factor))
