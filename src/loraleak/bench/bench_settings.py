"""Settings of benches; light to import, so that the command line starts fast."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Fixed, Suppress

from loraleak.base_settings import AUDIT_STEPS, BaseSettings
from loraleak.checks import SEEDS, out_of_bounds, refuse
from loraleak.finetuning import Recipe
from loraleak.people import TRAINING_STYLES, StyleName

__all__ = ["DEFENCES", "ArmsBench", "BenchSettings", "LeaksSettings", "PaperBench", "ProbeSettings", "SampleSettings"]

_PRIVATE = "fewer-factors:rank=1,targets=cross-attention+dp-sgd:epsilon={epsilon},batch=20,multiplicity=1,learning_rate=0.02"
"""The DP-SGD that keeps the most use, among the settings that `benchmarks/private_settings.py` tries."""

DEFENCES = (
    "gaussian-noise:level=1",
    "gaussian-noise:level=1.5",
    "gaussian-noise:level=2",
    "gaussian-noise:level=3",
    "rank-truncation:rank=2",
    "rank-truncation:rank=1",
    "scaling:factor=0.5",
    "scaling:factor=0.3",
    "quantisation:bits=3",
    "quantisation:bits=2",
    "spectral-alignment:keep=0.5",
    "spectral-alignment:keep=0.25",
    "random-refactoring",
    "early-stopping:share=0.4",
    "early-stopping:share=0.2",
    "fewer-factors:rank=1",
    "random-prompts:words=2",
    "smp-lora:weight=10",
    "dp-mmd:epsilon=8",
    _PRIVATE.format(epsilon=50),
    _PRIVATE.format(epsilon=8),
)
"""Defences that are compared by default, from mild to strong within a kind."""


@dataclass(frozen=True)
class SampleSettings:
    """Settings of sampling, the same for every arm."""

    images: int = 8
    """Pictures of each arm."""
    steps: int = AUDIT_STEPS
    """Sampler steps."""
    guidance_scale: float = 3.0
    """Scale of classifier-free guidance, for prompts and for z."""
    seed: int = 0
    """Seed of the private images, the fine-tuning and the initial noise."""

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"images": (1, 4096), "steps": (1, 1000), "guidance_scale": (0, 100), "seed": SEEDS}))


@dataclass(frozen=True)
class BenchSettings(BaseSettings):
    """Settings of a bench: how many victims out of how many people, on which base, and how they are attacked."""

    people: Path | None = None
    """Folder of people, <identity>/<image>.png, some of whom are the victims. Nobody in it may have been seen by the attack.
    By default people are drawn, which suits pocket."""
    split: Path | None = None
    """Split of the people in the folder, such as split.json in the work folder of a kit. The default is all people."""
    part: str = "quality"
    """Part of the split that is taken."""
    victims: int = 100
    """People whose adapters are attacked."""
    gallery: int = 1000
    """People among whom each victim is searched, at most; the victims are some of them."""
    embedder: str = "pocket"
    """`pocket`, `faces`, `general`, `clip:<folder or id>` or `dino:<folder or id>`."""
    kit: str | None = None
    """Kit from `loraleak kit build`, a file or a hub id. The default is the kit that is installed for the base."""
    attack: str | None = None
    """A weight autoencoder from `loraleak train`. The default is that of the kit."""
    recipe: Annotated[Fixed[Recipe], Suppress] = field(default_factory=Recipe)
    """Recipe of every victim's fine-tuning. A grid varies it; the command line does not."""
    sampling: SampleSettings = field(default_factory=SampleSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = out_of_bounds(self, {"victims": (2, 100_000), "gallery": (2, 1_000_000)})
        if self.victims > self.gallery:
            faults.append(f"{self.victims} victims in a gallery of {self.gallery}: give a gallery no smaller")
        if self.split is not None and self.people is None:
            faults.append("split is given without people: give the folder of the people who were split")
        refuse(*faults)


@dataclass(frozen=True)
class ArmsBench(BenchSettings):
    """Settings of the bench of arms: every arm on every victim."""

    arms: tuple[str, ...] = ()
    """Arms by name; none means all but the slow ones (matching-updates)."""
    photos: int = 5
    """Private images of each person."""
    styles: tuple[StyleName, ...] = TRAINING_STYLES
    """Drawing styles of the victims and of the gallery."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(*out_of_bounds(self, {"photos": (1, 10_000)}))


@dataclass(frozen=True)
class PaperBench(BenchSettings):
    """Settings of the paper's experiment: which cells, and how large."""

    victims: int = 50
    photos: tuple[int, ...] = (5, 20, 100)
    """Numbers of private images of each person."""
    defences: tuple[str, ...] = ()
    """Defences by name with settings, such as gaussian-noise:level=2; none means all, in several settings. The undefended
    adapter is always compared too."""
    arms: tuple[str, ...] = ("lora-class", "lora-universal-z", "base-z", "lora-z", "lora-z-key")
    """Attack arms by name."""
    adaptive: Mapping[str, str] = field(default_factory=dict)
    """Pairs DEFENCE ATTACK: an attack from `loraleak train` on a zoo with that defence, tried besides the usual one."""
    sampling: SampleSettings = field(default_factory=lambda: SampleSettings(images=4, steps=10))

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(
            *(out_of_bounds(self, {"photos": (1, 10_000)}) if self.photos else ["photos is empty, give at least one number"])
        )
        strange = [name for name in self.adaptive if name not in self.compared]
        if strange:
            refuse(f"{', '.join(map(repr, strange))}: adaptive and not among the defences")

    @property
    def compared(self) -> tuple[str, ...]:
        """Defences that are compared with no defence."""
        return self.defences or DEFENCES


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the weight probe: how many public people it learns from, and how many others it is judged on."""

    learned_from: tuple[int, ...] = (100, 200, 400, 800, 1_200)
    """Numbers of people to learn from, one row of results each."""
    unseen: int = 300
    """People to judge on, the same for every row."""
    seed: int = 0

    def __post_init__(self) -> None:
        faults = out_of_bounds(self, {"learned_from": (10, 1_000_000), "unseen": (10, 1_000_000), "seed": SEEDS})
        refuse(*faults, *([] if self.learned_from else ["learned_from is empty, give at least 10 people"]))


@dataclass(frozen=True)
class LeaksSettings:
    """Settings of readers of weights: whom they are judged on."""

    kept_apart: int = 60
    """People to judge on. Nothing is learned from them."""
    seed: int = 0
    """Seed of the choice of these people."""

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"kept_apart": (2, 1_000_000), "seed": SEEDS}))
