"""The first two stages of an audit: load all that it needs, and refuse what it cannot use before anything is sampled."""

from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters import load_adapter
from loraleak.arms import ARMS, Arm, Scene, forecast, select_arms
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.auditing.defences import check_reach
from loraleak.auditing.scene import scene_of
from loraleak.bases import load_base
from loraleak.bases.estimate import Estimate
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.people.folders import PhotoFile, read_photos

__all__ = ["Loaded", "check", "estimate_of", "load"]


@dataclass(frozen=True)
class Loaded:
    """All that an audit works with."""

    adapter_path: Path
    photos: tuple[PhotoFile, ...]
    scene: Scene
    """The adapter on its base, with the attack that reads it where there is one."""
    arms: tuple[Arm, ...]
    embedder: Embedder


def load(adapter: str | Path, photos: str | Path, settings: AuditSettings) -> Loaded:
    """Read the adapter and the photos, and load the base, the attack and the embedder.

    Raises: LoraleakError, if one of them cannot be used.
    """
    arms = select_arms(settings.arms or tuple(ARMS))
    loaded = load_adapter(adapter)
    photo_files = read_photos(photos)
    base = load_base(**settings.choices)
    return Loaded(
        adapter_path=Path(adapter),
        photos=tuple(photo_files),
        scene=scene_of(loaded, base, settings),
        arms=arms,
        embedder=load_embedder(settings.embedder),
    )


def check(loaded: Loaded, settings: AuditSettings) -> None:
    """Refuse what sampling would find out too late.

    Raises: UsageError, if no attack is among the arms; BaseMismatchError, if the adapter does not fit the base; as `check_reach`,
    if defences were asked for.
    """
    if all(arm.role != "attack" for arm in loaded.arms):
        raise UsageError(
            f"{', '.join(settings.arms)}: no attack is among these arms, so there is nothing to judge; add lora-class"
        )
    loaded.scene.base.check(loaded.scene.adapter)
    if settings.defences:
        check_reach(loaded.scene.adapter)


def estimate_of(loaded: Loaded, settings: AuditSettings) -> Estimate:
    """Time and memory that sampling takes."""
    return forecast(loaded.scene, loaded.arms, images=settings.images, steps=settings.steps)
