"""The first two stages of an audit: load all that it needs, and refuse what it cannot use before anything is sampled."""

from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters import load_adapter
from loraleak.arms import Arm, Scene, forecast, select_arms, usual_arms
from loraleak.auditing.audit_settings import MIN_OTHERS, AuditSettings
from loraleak.auditing.defences import check_reach
from loraleak.auditing.nulls.controls import Controls, SamplingSetup, load_controls
from loraleak.auditing.nulls.drawn import estimate_of_drawing
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.nulls.sources import people_in, people_of
from loraleak.auditing.scene import scene_of
from loraleak.auditing.scoring import embed_pictures
from loraleak.bases import load_base
from loraleak.bases.estimate import Estimate
from loraleak.embedders import Choice, Embedder, choose_embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.people import PhotoFile, read_photos
from loraleak.scores import left_out, recurring
from loraleak.types import Embeddings

__all__ = ["Loaded", "check", "estimate_of", "load"]


@dataclass(frozen=True)
class Loaded:
    """Everything that an audit works with."""

    adapter_path: Path
    photos: tuple[PhotoFile, ...]
    """Photos that show the person."""
    left_out: tuple[str, ...]
    """Lines on the photos that do not show the person, one for each."""
    scene: Scene
    """The adapter on its base, with the attack that reads it where there is one."""
    arms: tuple[Arm, ...]
    embedder: Embedder
    choice: Choice
    """The embedder's name, and why it was chosen."""
    photo_vectors: Embeddings
    """Embeddings of the person, photo by photo."""
    controls: Controls | None
    """Adapters of other people that were sampled as this one will be; None where there are none."""
    others: OtherPeople | None
    """Other people to compare with; None where the base has to draw them."""


def load(adapter: str | Path, photos: str | Path, settings: AuditSettings) -> Loaded:
    """Read the adapter and the photos, and load the base, the attack, the embedder and the other people.

    Raises: LoraleakError, if one of them cannot be used.
    """
    loaded = load_adapter(adapter)
    photo_files = tuple(read_photos(photos))
    pictures = [photo.picture for photo in photo_files]
    choice = choose_embedder(settings.embedder, settings.base, pictures)
    embedder = load_embedder(choice.name)
    sightings = embed_pictures(embedder, pictures)
    shown = recurring(sightings, embedder.same_person)
    lines = left_out([photo.name for photo in photo_files], sightings, shown)
    base = load_base(**settings.choices)
    scene = scene_of(loaded, base, settings)
    arms = select_arms(settings.arms or usual_arms(scene))
    controls = load_controls(
        SamplingSetup(
            base.sha256,
            embedder.name,
            settings.class_prompt,
            settings.steps,
            settings.guidance_scale,
            scene.attack_sha256,
        )
    )
    if settings.others is not None:
        others: OtherPeople | None = people_in(settings.others, embedder, photo_files)
    else:
        others = None if controls is None else people_of(controls)
    kept = tuple(photo_files[i] for i in shown.person.photos)
    return Loaded(Path(adapter), kept, lines, scene, arms, embedder, choice, shown.person.vectors, controls, others)


def check(loaded: Loaded, settings: AuditSettings) -> None:
    """Refuse unusable input before anything is sampled.

    Raises: UsageError, if no attack is among the arms, or if --others holds too few people for any finding; BaseMismatchError, if
    the adapter does not fit the base; as `check_reach`, if defences were asked for.
    """
    if all(arm.role != "attack" for arm in loaded.arms):
        raise UsageError(
            f"{', '.join(settings.arms)}: no attack is among these arms, so there is nothing to judge; add lora-class"
        )
    loaded.scene.base.check(loaded.scene.adapter)
    if settings.others is not None and loaded.others is not None and len(loaded.others) < MIN_OTHERS:
        raise UsageError(
            f"--others holds {len(loaded.others)} people, and with fewer than {MIN_OTHERS} nothing can be found: give photos of more "
            "people, or leave --others out"
        )
    if settings.defences:
        check_reach(loaded.scene.adapter)


def estimate_of(loaded: Loaded, settings: AuditSettings) -> Estimate:
    """Time and memory that sampling takes, other people included where the base has to draw them."""
    arms = forecast(loaded.scene, loaded.arms, images=settings.images, steps=settings.steps)
    drawing = None if loaded.others is not None else estimate_of_drawing(loaded.scene.base, **settings.drawing)
    return arms if drawing is None else drawing.then(arms)
