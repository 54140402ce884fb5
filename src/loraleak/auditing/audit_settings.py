"""Settings of an audit; light to import, so that the command line starts fast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loraleak.base_settings import AUDIT_STEPS, BaseSettings
from loraleak.checks import SEEDS, out_of_bounds, refuse

__all__ = ["MIN_OTHERS", "AttackSettings", "AuditSettings"]

MIN_OTHERS = 19
"""Fewest people to compare with that allow a p-value of 0.05."""

_MIN_DRAWING_STEPS = 10
"""Fewest sampler steps for people whom the base draws. At 2 steps they are blurs on pocket, any photo is nearer to an attack's pictures
than they are, and 17 of 100 audits find a wrong person at p <= 0.05. At 6 and more the rate is 3 to 6."""


_BOUNDS = {
    "images": (2, 4096),
    "steps": (2, 1000),
    "guidance_scale": (0, 100),
    "step": (0, 10_000_000),
    "seed": SEEDS,
}


@dataclass(frozen=True)
class AttackSettings(BaseSettings):
    """Settings of the base, and of how an adapter is sampled."""

    prompt: str | None = None
    """The owner's own prompt with the trigger. It adds the ceiling, and tests that the audit can see the person at all."""
    class_prompt: str = "a photo of a person"
    """Prompt of a stranger, without the trigger: the kind of thing that was trained."""
    arms: tuple[str, ...] = ()
    """Arms by name. The default is all arms that apply."""
    kit: str | None = None
    """Kit from `loraleak kit build`, a file or a hub id. The default is the kit that is installed for the base."""
    attack: str | None = None
    """Weight autoencoder from `loraleak train`. The default is that of the kit."""
    step: int | None = None
    """Fine-tuning step at which the adapter was saved, if you know it. The attack works without it too."""
    images: int = 8
    """Pictures of each arm."""
    steps: int = AUDIT_STEPS
    """Sampler steps."""
    guidance_scale: float = 3.0
    """Scale of classifier-free guidance, for prompts and for z."""
    seed: int = 0
    """Seed of the initial noise, and of the codes that control arms draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = out_of_bounds(self, _BOUNDS)
        faults += [f"{name} is empty, leave it out" for name in ("prompt", "class_prompt") if getattr(self, name) in ("", " ")]
        refuse(*faults)


@dataclass(frozen=True)
class AuditSettings(AttackSettings):
    """Settings of the base, and of how an audit samples and scores."""

    embedder: str = "auto"
    """Embedder: `pocket`, `faces`, `general`, `clip:<folder or id>`, `dino:<folder or id>` or `auto`.
    On pocket, `auto` takes `pocket`. Elsewhere it takes `faces` if most photos show a face, and otherwise `general`."""
    others: Path | None = None
    """Folder with photos like yours of other people, one sub-folder or one photo a person. Nobody in your photos may be in it.
    The default is people that come with the base's controls, or people whom the base draws."""
    held_out: Path | None = None
    """Folder with photos of the same person on which the adapter was not trained. It adds a test of whether somebody can tell that
    one of your photos was used."""
    others_count: int = 99
    """Number of other people, if the base draws them. 99 people give a smallest p-value of 0.01."""
    known_leaks: Path | None = None
    """Folder of files that are known to give their person away: a sub-folder for each, with adapter.safetensors and its photos.
    An audit that finds nothing is tried on them. Pocket's files come with the package."""
    max_miss_rate: float = 0.1
    """Largest share of such files that an audit may miss, if it is to say `low`."""
    until_decided: bool = False
    """Stop as soon as the level is certain. A file that gives the person away then takes a part of the time, and its report has
    fewer arms."""
    defences: bool = False
    """Measure what each post-hoc defence does to leak and use, and recommend one. Each takes as long as two arms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = out_of_bounds(self, {"others_count": (MIN_OTHERS, 10_000)})
        if self.others_count < MIN_OTHERS:
            faults = [f"{faults[0]}: with fewer no p-value reaches 0.05"]
        if not 0 <= self.max_miss_rate < 1:
            faults.append(f"max_miss_rate is {self.max_miss_rate}: give a share from 0 to below 1")
        if self.others is not None and self.others_count != AuditSettings.others_count:
            faults.append("others and others_count exclude each other: the folder of --others tells how many people there are")
        refuse(*faults)

    @property
    def drawing(self) -> dict[str, Any]:
        """Keyword arguments of `draw_people`."""
        return {
            "class_prompt": self.class_prompt,
            "count": self.others_count,
            "steps": max(self.steps, _MIN_DRAWING_STEPS),
            "guidance_scale": self.guidance_scale,
        }
