"""Arms for one adapter, without photos and without a verdict."""

from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters import load_adapter
from loraleak.arms import ARMS, Scene, reconstruct, select_arms
from loraleak.auditing.settings import AuditSettings
from loraleak.bases import load_base
from loraleak.inversion.autoencoder import attack_for
from loraleak.types import Images

__all__ = ["Attacked", "attack"]


@dataclass(frozen=True)
class Attacked:
    """What came of an adapter."""

    adapter_sha256: str
    base_sha256: str
    arms: dict[str, Images]


def attack(adapter: str | Path, settings: AuditSettings | None = None) -> Attacked:
    """Sample every arm that applies. For adapters that you own or may test.

    Raises: LoraleakError, if the file, the base or the attack cannot be used.
    """
    settings = settings or AuditSettings()
    loaded = load_adapter(adapter)
    base = load_base(settings.base, device=settings.device)
    reader = attack_for(base, settings.attack)
    scene = Scene(
        base,
        loaded,
        class_prompt=settings.class_prompt,
        owner_prompt=settings.prompt,
        guidance_scale=settings.guidance_scale,
        attack=reader if reader is not None and reader.reads(loaded) else None,
        step=settings.step,
        seed=settings.seed,
    )
    arms = select_arms(settings.arms or tuple(ARMS))
    made = reconstruct(scene, arms, images=settings.images, seed=settings.seed, steps=settings.steps)
    return Attacked(loaded.sha256, base.sha256, made)
