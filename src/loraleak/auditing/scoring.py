"""Two stages of an audit: embed photos and pictures, then score every arm and every photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from loraleak.arms import Arm
from loraleak.embedders import Embedder
from loraleak.errors import UsageError
from loraleak.reporting import ArmResult
from loraleak.scores import bootstrap_mean, exposure, found, mean_cosine, nearest, paired_difference, recognised, template
from loraleak.types import Embeddings, Images, Picture, Sightings

__all__ = ["Embedded", "Scored", "embed", "embed_beside", "embed_pictures", "recognise", "score"]


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the owner's photos, and of every arm's pictures."""

    photos: Embeddings
    pictures: Mapping[str, Sightings]
    """Whom the pictures of each arm show."""

    @cached_property
    def arms(self) -> Mapping[str, Embeddings]:
        """What of each arm's pictures is nearest to the owner's person; zeros where a picture shows nobody."""
        person = template(self.photos)
        return {name: nearest(sightings, person) for name, sightings in self.pictures.items()}


@dataclass(frozen=True)
class Scored:
    """Scores of each arm's nearness to the photos, and of the attacks' nearness to each photo."""

    arms: tuple[ArmResult, ...]
    exposure: Float[np.ndarray, " photos"]

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attack arms."""
        return tuple(arm.name for arm in self.arms if arm.role == "attack")


def embed(embedder: Embedder, photos: Embeddings, made: Mapping[str, Images]) -> Embedded:
    """Embed every arm's pictures, and add the photos' vectors. Raises: as `embed_pictures`."""
    return Embedded(photos, {name: embed_pictures(embedder, images) for name, images in made.items()})


def embed_beside(embedder: Embedder, person: Float[np.ndarray, " dim"], images: Images) -> Embeddings:
    """Embed the part of each picture that is nearest to a person; zeros for nobody. Raises: as `embed_pictures`."""
    return nearest(embed_pictures(embedder, images), person)


def embed_pictures(embedder: Embedder, pictures: Sequence[Picture] | Images) -> Sightings:
    """Embed pictures, and check the vectors. Raises: UsageError, if the embedder gives vectors that are no numbers."""
    sightings = embedder.embed(list(pictures))
    if not np.isfinite(sightings.vectors).all():
        raise UsageError(f"embedder {embedder.name} gave vectors that are no numbers: its weights are damaged, load it anew")
    return sightings


def score(arms: Sequence[Arm], made: Mapping[str, Images], embedded: Embedded) -> Scored:
    """Score every arm that was sampled, each against its control."""
    results = tuple(_arm_result(arm, made[arm.name], embedded) for arm in arms if arm.name in made)
    attacks = [embedded.arms[result.name] for result in results if result.role == "attack"]
    return Scored(results, exposure(np.concatenate(attacks), embedded.photos))


def recognise(scored: Scored, embedded: Embedded, others: Sequence[Embeddings]) -> Scored:
    """Look for the person of each picture among the owner's person and other people; nothing changes where there are no others."""
    if not others:
        return scored

    def looked_for(arm: ArmResult) -> ArmResult:
        as_owner, as_others = recognised(embedded.pictures[arm.name], embedded.photos, others)
        return replace(arm, recognised=tuple(map(bool, as_owner)), best_other=int(as_others.max()))

    return replace(scored, arms=tuple(map(looked_for, scored.arms)))


def _arm_result(arm: Arm, images: Images, embedded: Embedded) -> ArmResult:
    similarity = embedded.arms[arm.name] @ embedded.photos.T
    each = mean_cosine(embedded.arms[arm.name], embedded.photos)
    excess = None
    control = arm.control if arm.control in embedded.arms else None  # an audit may stop before an arm's control
    if control is not None:
        excess = paired_difference(each, mean_cosine(embedded.arms[control], embedded.photos))
    return ArmResult(
        name=arm.name,
        role=arm.role,
        says=arm.says,
        images=images,
        similarity=bootstrap_mean(each),
        excess=excess,
        over=control,
        adversary=arm.adversary,
        nearest=tuple(int(i) for i in similarity.argmax(axis=1)),
        nearest_similarity=tuple(float(s) for s in similarity.max(axis=1)),
        shows_nobody=tuple(bool(shown) for shown in ~found(embedded.pictures[arm.name])),
    )
