"""Sampling of one adapter's arms, without photos and without a verdict."""

from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters import load_adapter
from loraleak.arms import forecast, reconstruct, select_arms, usual_arms, with_turned
from loraleak.auditing.audit_settings import AttackSettings
from loraleak.auditing.leaks import answers_without_photos
from loraleak.auditing.loading import refuse_untrained
from loraleak.auditing.scene import scene_of, strength_of, strengthened
from loraleak.bases import load_base
from loraleak.kits import kit_for
from loraleak.progress import announce
from loraleak.reporting import Answer
from loraleak.types import Images

__all__ = ["Attacked", "attack"]


@dataclass(frozen=True)
class Attacked:
    """Pictures that the arms made of an adapter."""

    adapter_sha256: str
    base_sha256: str
    arms: dict[str, Images]
    answers: tuple[Answer, ...]
    """What else the file tells to whoever has no photo."""


def attack(adapter: str | Path, settings: AttackSettings | None = None, *, quiet: bool = True) -> Attacked:
    """Sample every arm that applies. For adapters that you own or may test. Unless `quiet`, an estimate and the progress go to
    stderr.

    Raises: LoraleakError, if the file, the base or the attack cannot be used.
    """
    settings = settings or AttackSettings()
    loaded = load_adapter(adapter)
    refuse_untrained(loaded, Path(adapter))
    base = load_base(**settings.choices)
    kit = kit_for(base, settings.kit)
    scene = scene_of(loaded, base, settings, kit)
    answers = answers_without_photos(scene, kit)
    arms = select_arms(settings.arms or usual_arms(scene))
    if not quiet:
        announce(forecast(scene, arms, images=settings.images, steps=settings.steps).says)
    strength = strength_of(scene)
    scene = strengthened(scene, strength)
    if strength.both:
        arms = with_turned(arms)
    made = reconstruct(scene, arms, images=settings.images, seed=settings.seed, steps=settings.steps, quiet=quiet)
    return Attacked(loaded.sha256, base.sha256, made, answers)
