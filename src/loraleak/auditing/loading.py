"""The first two stages of an audit: load all that it needs, and refuse what it cannot use before anything is sampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters import load_adapter
from loraleak.arms import Arm, Scene, changes_nothing, forecast, select_arms, usual_arms
from loraleak.assets import POCKET_KNOWN_LEAKS
from loraleak.auditing.audit_settings import MIN_OTHERS, AuditSettings
from loraleak.auditing.defences import check_reach
from loraleak.auditing.known_leaks import KnownLeak, read_known_leaks
from loraleak.auditing.nulls.drawn import estimate_of_drawing
from loraleak.auditing.nulls.other_people import OtherPeople
from loraleak.auditing.nulls.sources import people_in, people_of, people_of_kit
from loraleak.auditing.scene import scene_of
from loraleak.auditing.scoring import embed_pictures
from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.estimate import Estimate
from loraleak.embedders import Choice, Embedder, choose_embedder, load_embedder
from loraleak.errors import AdapterError, PhotosError, UsageError
from loraleak.kits import Controls, Kit, SamplingSetup, kit_for
from loraleak.people import PhotoFile, read_photos
from loraleak.scores import Shown, left_out, recurring
from loraleak.types import Adapter
from loraleak.untrusted import printable

__all__ = ["Loaded", "check", "estimate_of", "load", "refuse_untrained", "unused_controls"]


_AMBIGUOUS = (
    "Several people are on as many of your photos, so the photos do not tell whom they are of. The verdict is about one of them, the "
    "others are listed as bystanders: crop the photos to one person."
)


@dataclass(frozen=True)
class Loaded:
    """Everything that an audit works with."""

    adapter_path: Path
    folder: tuple[PhotoFile, ...]
    """All photos of the owner."""
    shown: Shown
    """The people on these photos: the person, and bystanders."""
    doubts: tuple[str, ...]
    """Sentences on the photos: which images were not used, what is twice among them, and whether they tell whom they are of."""
    scene: Scene
    """The adapter on its base, with the attack that reads it where there is one."""
    arms: tuple[Arm, ...]
    embedder: Embedder
    choice: Choice
    """The embedder's name, and why it was chosen."""
    setup: SamplingSetup
    """How the arms are sampled."""
    kit: Kit | None
    """What was learned for the base, or for another checkpoint of its family."""
    controls: Controls | None
    """Adapters of other people that were sampled as this one will be; None where there are none."""
    others: OtherPeople | None
    """Other people to compare with; None where the base has to draw them."""
    held_out: tuple[PhotoFile, ...]
    """Photos of the person on which the adapter was not trained."""
    known_leaks: tuple[KnownLeak, ...]
    """Files that are known to give their person away; none where there are none for the base."""

    @property
    def photos(self) -> tuple[PhotoFile, ...]:
        """Photos that show the person."""
        return tuple(self.folder[i] for i in self.shown.person.photos)


def load(adapter: str | Path, photos: str | Path, settings: AuditSettings) -> Loaded:
    """Read the adapter and the photos, and load the base, the attack, the embedder and the other people.

    Raises: LoraleakError, if one of them cannot be used.
    """
    loaded = load_adapter(adapter)
    refuse_untrained(loaded, Path(adapter))
    photo_files = read_photos(photos)
    pictures = [photo.picture for photo in photo_files]
    choice = choose_embedder(settings.embedder, settings.base, pictures)
    embedder = load_embedder(choice.name)
    sightings = embed_pictures(embedder, pictures)
    shown = recurring(sightings, embedder.same_person)
    unused = [unused.line for unused in photo_files.unused]
    lines = (*unused, *left_out([photo.name for photo in photo_files], sightings, shown))
    doubts = (*(f"A photo was not used. {line}." for line in lines), *photo_files.remarks)
    if shown.ambiguous:
        doubts += (_AMBIGUOUS,)
    base = load_base(**settings.choices)
    kit = kit_for(base, settings.kit)
    scene = scene_of(loaded, base, settings, kit)
    arms = select_arms(settings.arms or usual_arms(scene))
    setup = SamplingSetup(
        base.sha256, embedder.name, settings.class_prompt, settings.steps, settings.guidance_scale, scene.attack_sha256
    )
    controls = None if kit is None else kit.controls_for(setup)
    if settings.others is not None:
        others: OtherPeople | None = people_in(settings.others, embedder, photo_files)
    elif controls is not None:
        others = people_of(controls)
    else:
        others = _of_kit(kit, base, embedder)
    held_out = () if settings.held_out is None else _held_out(settings.held_out, photo_files.photos)
    leaks_in = settings.known_leaks or (POCKET_KNOWN_LEAKS if settings.base == "pocket" else None)
    leaks = () if leaks_in is None else read_known_leaks(leaks_in, embedder)
    return Loaded(
        Path(adapter),
        photo_files.photos,
        shown,
        doubts,
        scene,
        arms,
        embedder,
        choice,
        setup,
        kit,
        controls,
        others,
        held_out,
        leaks,
    )


def _held_out(folder: Path, photos: Sequence[PhotoFile]) -> tuple[PhotoFile, ...]:
    """Photos of --held-out. Raises: PhotosError, if one of them is among the owner's photos too."""
    found = read_photos(folder).photos
    trained = {photo.sha256: photo.name for photo in photos}
    for photo in found:
        if photo.sha256 in trained:
            raise PhotosError(
                f"{printable(photo.name)} is {printable(trained[photo.sha256])} of --photos too",
                path=folder,
                remedy="give photos on which the file was not trained",
            )
    return found


def unused_controls(loaded: Loaded) -> str:
    """Why the kit's controls are not used; empty where they are, or where there are none."""
    kit = loaded.kit
    if kit is None or kit.controls is None or loaded.controls is not None:
        return ""
    differing = printable(", ".join(kit.differs_in(loaded.setup)), 400)
    return f"The kit's control adapters are not used, because this audit differs from theirs in {differing}."


def _of_kit(kit: Kit | None, base: DiffusersBase, embedder: Embedder) -> OtherPeople | None:
    """The kit's people, where its controls were sampled in another way or from another checkpoint: their photos do not depend on
    that. None where there are none whom this embedder has seen."""
    if kit is None or kit.controls is None or kit.sampling.embedder != embedder.name:
        return None
    return people_of(kit.controls) if kit.is_for(base) else people_of_kit(kit)


def check(loaded: Loaded, settings: AuditSettings) -> None:
    """Refuse unusable input before anything is sampled.

    Raises: UsageError, if no attack is among the arms, or if --others holds too few people for any finding; BaseMismatchError, if
    the adapter does not fit the base; as `check_reach`, if defences were asked for.
    """
    if all(arm.role != "attack" for arm in loaded.arms):
        raise UsageError(
            f"{', '.join(settings.arms)}: no attack is among these arms, so there is nothing to judge; add lora-class"
        )
    for adapter in (loaded.scene.adapter, *(leak.adapter for leak in loaded.known_leaks)):
        loaded.scene.base.check(adapter)
    if settings.others is not None and loaded.others is not None and len(loaded.others) < MIN_OTHERS:
        raise UsageError(
            f"--others holds {len(loaded.others)} people, and with fewer than {MIN_OTHERS} nothing can be found: give photos of more "
            "people, or leave --others out"
        )
    if settings.defences:
        check_reach(loaded.scene.adapter)


def refuse_untrained(adapter: Adapter, path: Path) -> None:
    """Refuse a file that changes nothing, about which there is nothing to say.

    Raises: AdapterError, if every update is zero at any scale.
    """
    if changes_nothing(adapter):
        raise AdapterError(
            "this file changes nothing: it looks untrained",
            path=path,
            remedy="give the file that the training saved at its end",
        )


def estimate_of(loaded: Loaded, settings: AuditSettings) -> Estimate:
    """Time and memory that sampling takes, other people included where the base has to draw them."""
    arms = forecast(loaded.scene, loaded.arms, images=settings.images, steps=settings.steps)
    drawing = None if loaded.others is not None else estimate_of_drawing(loaded.scene.base, **settings.drawing)
    return arms if drawing is None else drawing.then(arms)
