"""Does a file open on one person? A hint that takes no photo: the pictures of the self-key, beside the base's own.

A file of one person makes pictures that show the same person again and again. A file of a style or a thing does not. How far that
holds is asked of files that are known to be of no person.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from loraleak.adapters import load_adapter
from loraleak.arms import Scene, forecast, reconstruct, select_arms, with_turned
from loraleak.assets import POCKET_WHO
from loraleak.auditing.audit_settings import AttackSettings
from loraleak.auditing.levels import REVIEW
from loraleak.auditing.loading import refuse_untrained
from loraleak.auditing.scene import scene_of, strength_of, strengthened
from loraleak.auditing.scoring import embed_pictures
from loraleak.bases import DiffusersBase, load_base
from loraleak.bases.estimate import Estimate
from loraleak.embedders import Embedder, choose_embedder, load_embedder
from loraleak.errors import UsageError
from loraleak.kits import kit_for
from loraleak.progress import announce, track
from loraleak.scores import recurring
from loraleak.types import Images, Sightings

__all__ = ["CAUTION", "NobodyFiles", "Opening", "Who", "opening_of", "shipped_null", "who", "who_of"]

CAUTION = (
    "This is a hint, not an identification: it does not say who the person is, nor that they agreed or did not. Silence is not "
    "safety: a file of a person can stay shut to this search."
)
_FLOOR = "base-class"
_ARMS = (_FLOOR, "lora-self-key")


@dataclass(frozen=True)
class Opening:
    """How far pictures show one person."""

    seen: float
    """Share of the pictures that show somebody."""
    alike: float
    """Mean cosine, over pairs of pictures, of whoever recurs on them. A pair with a picture of nobody counts 0."""


@dataclass(frozen=True)
class NobodyFiles:
    """Files of styles and things: how much more alike their pictures are than the base's own. They are the null."""

    base_sha256: str
    embedder: str
    class_prompt: str
    images: int
    steps: int
    guidance_scale: float
    more_alike: tuple[float, ...]

    def write(self, file: Path) -> None:
        """Write JSON, six digits a number."""
        facts = asdict(self) | {"more_alike": [round(value, 6) for value in self.more_alike]}
        file.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, file: Path) -> "NobodyFiles":
        facts = json.loads(file.read_text("utf-8"))
        return cls(**facts | {"more_alike": tuple(facts["more_alike"])})


@dataclass(frozen=True)
class Who:
    """The answer for one file."""

    file: Opening
    base: Opening
    """The base's own pictures, from the same noise."""
    null: tuple[float, ...] = ()
    """How much more alike the pictures of files of no person are than the base's own; empty where none were given."""
    pictures: dict[str, Images] = field(default_factory=dict, repr=False, compare=False)

    @property
    def more_alike(self) -> float:
        """The statistic: how much more alike this file's pictures are than the base's own."""
        return self.file.alike - self.base.alike

    @property
    def p_value(self) -> float | None:
        """Share of files of no person, this one counted among them, that do as much; None without such files."""
        if not self.null:
            return None
        return (1 + sum(other >= self.more_alike for other in self.null)) / (1 + len(self.null))

    @property
    def says(self) -> tuple[str, ...]:
        """The answer in sentences."""
        shown = (
            f"{self.file.seen:.0%} of the file's pictures show somebody, with a mutual likeness of {self.file.alike:.2f}. Of the "
            f"base's own, from the same noise, {self.base.seen:.0%} do, with {self.base.alike:.2f}."
        )
        p = self.p_value
        if p is None:
            answer = (
                "No p-value can be given: nothing is known of files of styles and things on this base. Give a folder of such files "
                "with --null."
            )
        elif p <= REVIEW:
            answer = f"This looks like a file of one person: p = {p:.2f}, against {len(self.null)} files of styles and things."
        else:
            answer = f"Nothing points to one person: p = {p:.2f}, against {len(self.null)} files of styles and things."
        return shown, answer, CAUTION

    def as_json(self) -> dict[str, Any]:
        return {
            "file": asdict(self.file),
            "base": asdict(self.base),
            "more_alike": self.more_alike,
            "null_files": len(self.null),
            "p_value": self.p_value,
            "says": list(self.says),
        }


def who(
    adapter: str | Path, settings: AttackSettings, *, embedder: str = "auto", null: Path | None = None, quiet: bool = True
) -> Who:
    """Ask one file. `null` is a folder of adapter files of styles and things; without it, pocket's own null serves where the
    settings are its own. Unless `quiet`, an estimate and the progress go to stderr.

    Raises: LoraleakError, if a file, the base or the embedder cannot be used; UsageError, if `null` holds no adapter file.
    """
    files = _files(null) if null is not None else []
    loaded = load_adapter(adapter)
    refuse_untrained(loaded, Path(adapter))
    judge = load_embedder(_chosen(embedder, settings.base))
    base = load_base(**settings.choices)
    scene = scene_of(loaded, base, settings, kit_for(base, settings.kit))
    if not quiet:
        announce(_estimate(scene, settings, files=1 + len(files)).says)
    mine = who_of(scene, judge, settings)
    others = [
        who_of(scene_of(load_adapter(file), base, settings), judge, settings).more_alike
        for file in track(files, "files of styles and things", len(files), hidden=quiet or not files)
    ]
    return Who(mine.file, mine.base, tuple(others) or shipped_null(base, judge, settings), mine.pictures)


def who_of(scene: Scene, embedder: Embedder, settings: AttackSettings) -> Who:
    """The answer for a scene, at the strength that a stranger chooses, without a null. Where neither sign of the update is sure,
    both are searched, and the one whose pictures are more alike counts."""
    strength = strength_of(scene)
    arms = select_arms(_ARMS)
    made = reconstruct(
        strengthened(scene, strength),
        with_turned(arms) if strength.both else arms,
        images=settings.images,
        seed=settings.seed,
        steps=settings.steps,
    )
    openings = {name: opening_of(embed_pictures(embedder, pictures)) for name, pictures in made.items()}
    plain = openings.pop(_FLOOR)
    return Who(max(openings.values(), key=lambda opening: opening.alike), plain, pictures=made)


def opening_of(sightings: Sightings) -> Opening:
    """How far pictures show one person: whoever recurs, one vector a picture, whether or not a threshold calls them the same."""
    seen = float((sightings.counts > 0).mean())
    if not seen:
        return Opening(0.0, 0.0)
    vectors = recurring(sightings, None).person.vectors.astype(np.float64)
    pairs = len(sightings) * (len(sightings) - 1)
    cosines = vectors @ vectors.T
    return Opening(seen, float(cosines.sum() - np.trace(cosines)) / pairs)


def shipped_null(base: DiffusersBase, embedder: Embedder, settings: AttackSettings) -> tuple[float, ...]:
    """The null that ships with pocket; nothing, where base, embedder or sampling are other ones."""
    if not POCKET_WHO.exists():
        return ()
    null = NobodyFiles.read(POCKET_WHO)
    return null.more_alike if null == null_setup(base, embedder, settings, null.more_alike) else ()


def null_setup(base: DiffusersBase, embedder: Embedder, settings: AttackSettings, more_alike: Sequence[float]) -> NobodyFiles:
    """A null with everything that an answer must share to be compared with it."""
    return NobodyFiles(
        base.sha256,
        embedder.name,
        settings.class_prompt,
        settings.images,
        settings.steps,
        settings.guidance_scale,
        tuple(more_alike),
    )


def _estimate(scene: Scene, settings: AttackSettings, *, files: int) -> Estimate:
    sampling = forecast(scene, select_arms(_ARMS), images=settings.images, steps=settings.steps)
    return replace(sampling, seconds=sampling.seconds * files)


def _chosen(embedder: str, base: str) -> str:
    """The embedder that was asked for; `auto` takes `faces` where the base is not pocket."""
    asked = "faces" if embedder == "auto" and base != "pocket" else embedder
    return choose_embedder(asked, base, ()).name


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        raise UsageError(
            f"--null {folder}: give a folder with .safetensors files of styles and things, 19 for a p-value of 0.05"
        )
    return files
