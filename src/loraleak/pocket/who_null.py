"""Files of no person on pocket: styles with a new person in every picture, and drawn things. `attack --who` compares with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from loraleak.adapters import load_adapter, save_adapter
from loraleak.auditing import AttackSettings
from loraleak.auditing.scene import scene_of
from loraleak.auditing.who import NobodyFiles, null_setup, who_of
from loraleak.bases import DiffusersBase
from loraleak.embedders import Embedder
from loraleak.finetuning import Job, Recipe, finetune_together
from loraleak.people import TRAINING_STYLES, draw_look, draw_people, render
from loraleak.people.styles import BACKGROUNDS, CLOTHES_COLOURS
from loraleak.progress import track
from loraleak.types import Images

__all__ = ["Subject", "build_who_null", "nobody_files", "pictures_of", "subjects"]

_PICTURES = 8
_TOGETHER = 8
_SIDE = 64


@dataclass(frozen=True)
class Subject:
    """The subject of a file that shows no one person."""

    kind: Literal["style", "thing"]
    seed: int

    @property
    def recipe(self) -> Recipe:
        """Recipe of its file. Half of the files are trained with class images, as people's are."""
        if self.kind == "style":
            return Recipe(seed=self.seed)
        return Recipe(seed=self.seed, class_prompt="a photo of a thing", prior_batch=0)


def subjects(count: int, *, seed: int) -> list[Subject]:
    """Subjects, in turn a style and a thing."""
    return [Subject("style" if i % 2 == 0 else "thing", seed + i) for i in range(count)]


def pictures_of(subject: Subject) -> Images:
    """The pictures that its file is trained on."""
    rng = np.random.default_rng([subject.seed, 11])
    if subject.kind == "thing":
        return _thing(rng)
    style = TRAINING_STYLES[int(rng.integers(len(TRAINING_STYLES)))]
    people = draw_people("base", _PICTURES, seed=subject.seed, styles=(style,))
    return np.stack([render(person, draw_look(rng, style)) for person in people])


def nobody_files(base: DiffusersBase, asked: Sequence[Subject], folder: Path) -> list[Path]:
    """Files of subjects; those that are not in `folder` are trained first."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{subject.kind}-{subject.seed}.safetensors" for subject in asked]
    missing = [(subject, file) for subject, file in zip(asked, files, strict=True) if not file.exists()]
    for file in track(_trained(base, missing), "fine-tuning styles and things", len(missing)):
        assert file.exists()
    return files


def build_who_null(base: DiffusersBase, embedder: Embedder, folder: Path, *, count: int = 19) -> NobodyFiles:
    """The null of `attack --who` at its default settings."""
    settings = AttackSettings()
    files = nobody_files(base, subjects(count, seed=7_000), folder)
    answers = [
        who_of(scene_of(load_adapter(file), base, settings), embedder, settings).more_alike
        for file in track(files, "asking files of no person", len(files))
    ]
    return null_setup(base, embedder, settings, answers)


def _trained(base: DiffusersBase, missing: Sequence[tuple[Subject, Path]]) -> Iterator[Path]:
    for kind in ("style", "thing"):  # what trains together shares its class images
        same = [(subject, file) for subject, file in missing if subject.kind == kind]
        for start in range(0, len(same), _TOGETHER):
            group = same[start : start + _TOGETHER]
            jobs = [Job(pictures_of(subject), subject.recipe) for subject, _ in group]
            for snapshot in finetune_together(base, jobs, quiet=True):
                file = group[snapshot.job][1]
                save_adapter(snapshot.adapter, file)
                yield file


def _thing(rng: np.random.Generator) -> Images:
    """One thing, made of a few coloured shapes, at other places and sizes and before other backgrounds."""
    colours, backgrounds = list(CLOTHES_COLOURS.values()), list(BACKGROUNDS.values())
    shapes = [
        (rng.uniform(-0.5, 0.5, 2), rng.uniform(0.3, 0.9, 2), colours[int(rng.integers(len(colours)))], bool(rng.integers(2)))
        for _ in range(4)
    ]
    drawn = []
    for _ in range(_PICTURES):
        canvas = Image.new("RGB", (4 * _SIDE, 4 * _SIDE), _rgb(backgrounds[int(rng.integers(len(backgrounds)))]))
        brush = ImageDraw.Draw(canvas)
        middle, scale = rng.uniform(1.7, 2.3, 2) * _SIDE, rng.uniform(0.9, 1.4) * _SIDE
        for offset, size, colour, round_ in shapes:
            low, high = middle + scale * (offset - size / 2), middle + scale * (offset + size / 2)
            draw = brush.ellipse if round_ else brush.rectangle
            draw([*low.tolist(), *high.tolist()], fill=_rgb(colour))
        drawn.append(np.asarray(canvas.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)))
    return np.stack(drawn)


def _rgb(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(f"#{colour.removeprefix('#')}")
