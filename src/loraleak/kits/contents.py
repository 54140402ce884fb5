"""What a kit holds: the types of its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float

from loraleak.bases import DiffusersBase
from loraleak.inversion import StoredAttack, WeightAutoencoder
from loraleak.readers import Readers
from loraleak.scores import nearest
from loraleak.types import Embeddings, Interval, Sightings

__all__ = ["Calibration", "Card", "Controls", "Kit", "People", "Quality", "Row", "SamplingSetup", "Table"]


@dataclass(frozen=True)
class SamplingSetup:
    """Everything but the noise that decides what an arm makes of an adapter. Controls must share it with the adapter."""

    base_sha256: str
    embedder: str
    class_prompt: str
    steps: int
    guidance_scale: float
    attack_sha256: str = ""
    """Hash of the weight autoencoder's file; empty where none was used."""


@dataclass(frozen=True)
class Controls:
    """Embeddings of control adapters' pictures, and of a cohort of people who are not victims.

    Each control was sampled from noise of its own, so an audit may start from any noise.
    """

    sampling: SamplingSetup
    arms: Mapping[str, Sightings]
    """Whom each arm's pictures show, control after control."""
    images: int
    """Pictures of each control."""
    cohort: Float[np.ndarray, "people dim"]
    """Templates, one for each person: the normalised mean of the embeddings of their pictures."""
    people: tuple[Embeddings, ...]
    """Embeddings of several photos of each person of the cohort."""

    def __len__(self) -> int:
        return len(next(iter(self.arms.values()))) // self.images

    def nearest(self, arm: str, person: Float[np.ndarray, " dim"]) -> Float[np.ndarray, "controls images dim"]:
        """What of each picture is nearest to a person; zeros where a picture shows nobody."""
        return nearest(self.arms[arm], person).reshape(len(self), self.images, -1)


@dataclass(frozen=True)
class Row:
    """Audits with equal settings of files that are known to give their person away."""

    images: int
    """Pictures of each arm."""
    steps: int
    """Sampler steps."""
    photos: int
    """Photos that the owner gave."""
    files: int
    review: int
    """Files that were found at the level `review` or graver."""
    high: int
    """Files that were found at the level `high`."""
    file: str = "usual"
    """Kind of files: `usual` for the default recipe, else what is different, such as `60 steps` or `gaussian-noise:level=2`."""

    @property
    def miss_rate(self) -> float:
        """Share of the files that were not found."""
        return 1 - self.review / self.files


@dataclass(frozen=True)
class Table:
    """The rows of one base, and the sampling that they hold for, but for its number of steps."""

    sampling: SamplingSetup
    attacks: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Calibration:
    """`log LR = intercept + slope * statistic`, within limits, for one way of auditing."""

    sampling: SamplingSetup
    attacks: tuple[str, ...]
    images: int
    """Pictures of each arm; an audit with more is at least as telling."""
    photos: int
    """Photos of each owner; an audit with more is at least as telling."""
    intercept: float
    slope: float
    limit: float
    """Largest likelihood ratio that so few files can support, and the inverse of the smallest: their number plus one."""
    error: float = 0.0
    """Expected calibration error on files that the fit has not seen, at a prior of one half."""


@dataclass(frozen=True)
class People:
    """Numbers of people that a kit was made from, by what for."""

    attack: int
    """People from whose adapters the attack learned, those for early stopping included."""
    controls: int
    templates: int
    """Other people, with whom an audit compares the owner."""
    quality: int
    """People kept apart, on whom the quality was measured."""


@dataclass(frozen=True)
class Quality:
    """What audits with the kit find, on people whom nothing in it has seen. Intervals are over those people."""

    victims: int
    wrong_audits: int
    """Audits of these people's files with the photos of somebody else."""
    found: Mapping[str, Interval]
    """Share of files that audits with the right photos found, by level."""
    false_alarms: Mapping[str, Interval]
    """Share of audits with the wrong photos that found something, by level."""
    gallery: int = 0
    """People among whom pictures were searched."""
    rank1: Mapping[str, Interval] | None = None
    """Share of an arm's pictures that are nearer to the right person than to anybody in the gallery."""


@dataclass(frozen=True)
class Card:
    """What a reader should know of a kit before using it."""

    base: str
    base_sha256: str
    family: str
    """Class of the base's pipeline."""
    embedder: str
    """Name of the embedder, as `--embedder` takes it."""
    class_prompt: str
    recipes: tuple[Mapping[str, object], ...]
    """Ranges of the recipes of the adapters that the attack learned from."""
    people: People
    source: str
    """Where the people come from."""
    licence: str
    """Licence of their photos."""
    loraleak: str
    """Version that made the kit."""
    quality: Quality | None = None


_WORDS = {
    "base_sha256": "the base",
    "embedder": "the embedder ({})",
    "class_prompt": "the class prompt ({})",
    "steps": "the sampler steps ({})",
    "guidance_scale": "the guidance scale ({:g})",
    "attack_sha256": "the attack",
}
"""Words for the parts of a sampling, with a place for the value."""


@dataclass(frozen=True)
class Kit:
    """All that an adversary has learned for one base."""

    card: Card
    sampling: SamplingSetup
    """The sampling that controls and quality hold for."""
    attack: StoredAttack | None = None
    controls: Controls | None = None
    """Control adapters and other people, as embeddings; None where templates were left out."""
    sensitivity: Table | None = None
    calibration: Calibration | None = None
    readers: Readers | None = None
    """Readers of traits and of the number of photos; None where nobody learned any."""
    sha256: str = ""
    """Hash of the file's bytes; empty where there is no file yet."""

    @property
    def people(self) -> Sequence[Embeddings]:
        """Embedded photos of other people."""
        return () if self.controls is None else self.controls.people

    def is_for(self, base: DiffusersBase) -> bool:
        """Whether it was made for this very checkpoint."""
        return self.card.base_sha256 == base.sha256

    def attack_on(self, base: DiffusersBase) -> WeightAutoencoder | None:
        """The attack, also for another checkpoint of the family. Raises: as `StoredAttack.on`."""
        return None if self.attack is None else self.attack.on(base, of_family=True)

    def controls_for(self, sampling: SamplingSetup) -> Controls | None:
        """The controls, if they were sampled like this; else None."""
        return self.controls if self.controls is not None and self.controls.sampling == sampling else None

    def differs_in(self, sampling: SamplingSetup) -> tuple[str, ...]:
        """What of this sampling differs from that of the kit, one phrase each, with the kit's value."""
        mine = asdict(self.sampling)
        differing = [name for name, value in asdict(sampling).items() if value != mine[name]]
        return tuple(_WORDS[name].format(mine[name]) for name in differing)

    def without_templates(self) -> "Kit":
        """The same without embeddings of anybody: neither templates, nor pictures that show a control's person."""
        return replace(self, controls=None, sha256="")
