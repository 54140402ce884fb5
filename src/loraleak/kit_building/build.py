"""The build of a kit: every stage in its order. Finished parts are kept in a work folder, and a stopped build goes on from there."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loraleak.auditing import people_of
from loraleak.base_settings import BaseSettings
from loraleak.bases import DiffusersBase
from loraleak.bench import Case, CaseSettings, Known, know, tell_doubles
from loraleak.embedders import Embedder, load_embedder
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning import Recipe
from loraleak.inversion import StoredAttack, TrainSettings, read_attack, read_public_people, train_attack
from loraleak.inversion.public import share_of
from loraleak.kit_building.controls import control_embeddings
from loraleak.kit_building.kit_settings import KitSettings
from loraleak.kit_building.quality import measured
from loraleak.kits import Card, Kit, People
from loraleak.people import Identity, PeopleSplit, identities_in, in_part, read_split, split_people, write_split
from loraleak.progress import announce
from loraleak.untrusted import encodable
from loraleak.version import __version__
from loraleak.zoo import ShardBuilder, Site, Zoo, ZooPlan, build_zoo, plan_zoo
from loraleak.zoo.recipes import draw_recipe

__all__ = ["Machines", "build_kit", "drawn_recipe", "plan_kit", "sampling_of", "shared_name", "train_settings"]

_FEWEST = 4
"""Fewest people to learn an attack from."""
_HELD_OUT = 8
"""People whom training holds out at least, where there are three times as many."""
_PHOTOS = 8
"""Most photos of each other person that a kit keeps. An owner with more photos is compared with these."""


@dataclass(frozen=True)
class Machines:
    """Who builds the zoo, the longest stage."""

    builder: Callable[[Site], ShardBuilder | None]
    """Builder of shards at a site; None for this process."""
    together: int = 16
    """Adapters in one batch."""
    zoo: str = ""
    """Folder or URL of the zoo, which all workers reach; empty for one in the work folder."""


def plan_kit(settings: KitSettings, people: Sequence[Identity], split: PeopleSplit, together: int) -> ZooPlan:
    """The plan of the zoo of the public people."""
    return plan_zoo(in_part(people, split, "public"), settings.ranges, seed=settings.seed, together=together)


def build_kit(settings: KitSettings, people: Path, work: Path, base: DiffusersBase, machines: Machines) -> Kit:
    """Split the people, build the zoo, train the attack, sample the controls, and measure the quality.

    Whoever the embedder finds in two folders is told before anything is trained, and all folders of a person are in one part.
    Raises: UsageError, if there are too few people, or the work folder is of other people or settings; PhotosError, if photos cannot
    be used.
    """
    embedder = load_embedder(settings.embedder)
    known = know(identities_in(people), embedder, work / "people")
    split = _split(settings, known, embedder, work / "split.json")
    by_name = {person.identity.name: person for person in known}
    parts = {part: [by_name[name] for name in names] for part, names in split.parts.items()}
    _check_photos([*parts["controls"], *parts["quality"]], settings.photos)
    stored = _attack(settings, people, [person.identity for person in known], split, work, base, machines)
    attack = stored.on(base)
    how = sampling_of(settings)
    controls = control_embeddings(
        base,
        embedder,
        attack,
        _cases(parts["controls"], settings, first=0),
        [person.vectors[:_PHOTOS] for person in parts["others"]],
        how,
        work / "controls",
    )
    cases = _cases(parts["quality"], settings, first=len(parts["controls"]))
    quality, table = measured(base, embedder, attack, cases, people_of(controls), controls, how, work / "quality")
    card = Card(
        base=shared_name(settings.base),
        base_sha256=base.sha256,
        family=type(base.pipeline).__name__,
        embedder=settings.embedder,
        class_prompt=settings.ranges.class_prompt,
        recipes=(asdict(settings.ranges),),
        people=People(**{name: len(parts[part]) for name, part in _PARTS.items()}),
        source=settings.source,
        licence=settings.licence,
        loraleak=__version__,
        quality=quality,
    )
    kit = Kit(card, controls.sampling, stored, controls, table)
    return kit if settings.templates else kit.without_templates()


_PARTS = {"attack": "public", "controls": "controls", "templates": "others", "quality": "quality"}
"""Names of a card's numbers of people, and of the parts of the split."""


def _split(settings: KitSettings, known: Sequence[Known], embedder: Embedder, file: Path) -> PeopleSplit:
    twice = tell_doubles(known, embedder, "they stay in one part of the split")
    split = split_people(
        [person.identity.name for person in known], settings.parts, "public", seed=settings.seed, doubles=twice
    )
    if not file.exists():
        write_split(split, file)
    elif read_split(file) != split:
        raise UsageError(
            "it is a split of other people, or by other settings", path=file, remedy="give the same ones, or another --work"
        )
    return split


def _check_photos(people: Sequence[Known], needed: int) -> None:
    """Refuse people who lack photos, before anything is trained."""
    few = [person.identity for person in people if len(person.identity.photos) <= needed]
    if few:
        raise PhotosError(
            *(f"{identity.name} has {len(identity.photos)} photos" for identity in few),
            remedy=f"controls and people kept apart need {needed + 1}: add photos, take these folders out, or give fewer --photos",
        )


def _attack(
    settings: KitSettings,
    folder: Path,
    people: Sequence[Identity],
    split: PeopleSplit,
    work: Path,
    base: DiffusersBase,
    machines: Machines,
) -> StoredAttack:
    file = work / "attack.safetensors"
    site = Site(folder.resolve(), machines.zoo or str(work / "zoo"), _base_settings(settings, base))
    plan = plan_kit(settings, people, split, machines.together)
    failures = build_zoo(plan, folder, site.folder, base, builder=machines.builder(site))
    if failures:
        more = f" and {len(failures) - 1} more people" if len(failures) > 1 else ""
        raise UsageError(f"no adapter of {failures[0].person}{more} ({failures[0].reason}): mend that, and run the build again")
    if not file.exists():
        public_people = in_part(people, split, "public")
        captioned = all(person.captions for person in public_people)
        if not captioned:
            announce("not everybody has captions, so the attack learns from the photos alone")
        again = {name for group in split.doubles for name in sorted(group)[1:]}
        training = train_settings(settings, set(split.parts["public"]) - again, captioned=captioned)
        public = read_public_people([Zoo(site.folder)], public_people, base, held_out=training.held_out, doubles=split.doubles)
        train_attack(base, public, training, work / "training").save(file)
    return read_attack(file)


def _base_settings(settings: KitSettings, base: DiffusersBase) -> BaseSettings:
    """Settings with which a worker loads the base."""
    mine = {name: getattr(settings, name) for name in BaseSettings.__dataclass_fields__}
    return BaseSettings(**mine | {"device": base.device.type}).resolved()


def train_settings(settings: KitSettings, people: Collection[str], *, captioned: bool) -> TrainSettings:
    """Settings of the training on these people. Where somebody has no caption, captions teach nothing.

    Raises: UsageError, if there are too few people to hold some out.
    """
    if len(people) < _FEWEST:
        raise UsageError(
            f"{len(people)} people are left for the attack to learn from, at least {_FEWEST} are needed: add people"
        )
    steps = settings.train_steps
    held_out = max(round(TrainSettings.held_out * len(people)), min(_HELD_OUT, len(people) // 3))
    return TrainSettings(
        encoder=settings.encoder,
        steps=steps,
        batch=settings.train_batch,
        warmup=min(TrainSettings.warmup, steps // 10),
        caption_weight=TrainSettings.caption_weight if captioned else 0.0,
        held_out=share_of(people, held_out),
        evaluate_every=min(TrainSettings.evaluate_every, steps),
        seed=settings.seed,
    )


def sampling_of(settings: KitSettings) -> CaseSettings:
    """How controls and people kept apart are sampled."""
    return CaseSettings(
        images=settings.pictures,
        steps=settings.sampler_steps,
        guidance_scale=settings.guidance_scale,
        seed=settings.seed,
        recipe=Recipe(class_prompt=settings.ranges.class_prompt, class_count=settings.ranges.class_count),
        photos=settings.photos,
    )


def drawn_recipe(settings: KitSettings, name: str) -> Recipe:
    """The recipe of a person's adapter, a function of the seed and the name."""
    rng = np.random.default_rng([settings.seed, *hashlib.sha256(name.encode()).digest()[:8]])
    return draw_recipe(settings.ranges, rng, available=settings.photos)[0]


def _cases(people: Sequence[Known], settings: KitSettings, *, first: int) -> list[Case]:
    """Cases with recipes from the ranges, numbered from `first`, so that no two have the same noise."""
    cases = []
    for index, person in enumerate(people, first):
        recipe = drawn_recipe(settings, person.identity.name)
        cases.append(Case(person.identity, index, recipe.trigger, recipe))
    return cases


def shared_name(base: str) -> str:
    """Name of a base that tells nothing of this machine: a hub id as it is, of a path the last part."""
    return encodable(Path(base).resolve().name if Path(base).expanduser().exists() and base != "pocket" else base)
