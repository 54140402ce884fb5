"""What an audit can be told; light to import, so that the command line starts fast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loraleak.base_settings import BaseSettings
from loraleak.errors import UsageError

__all__ = ["MIN_OTHERS", "AttackSettings", "AuditSettings"]

MIN_OTHERS = 19
"""People to compare with, for the smallest p-value to be 0.05."""


@dataclass(frozen=True)
class AttackSettings(BaseSettings):
    """How an adapter is sampled."""

    prompt: str | None = None
    """The owner's own prompt with the trigger; adds the ceiling, does not touch the verdict."""
    class_prompt: str = "a photo of a person"
    """What strangers type: the kind of thing that was trained, without the trigger."""
    arms: tuple[str, ...] = ()
    """Arms by name; none means all that apply."""
    attack: str | None = None
    """A weight autoencoder from `loraleak train`; none means the one that ships for pocket."""
    step: int | None = None
    """After how many steps of fine-tuning the adapter was saved, where you know it; the attack can do without."""
    images: int = 8
    """Pictures an arm."""
    steps: int = 20
    """Sampler steps."""
    guidance_scale: float = 3.0
    """Classifier-free guidance of prompts and of z."""
    seed: int = 0
    """Of the initial noise, and of the codes that control arms draw."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low = [f"{name} is {value}" for name, value in (("images", self.images), ("steps", self.steps)) if value < 2]
        if low:
            raise UsageError(f"{' and '.join(low)}: give at least 2")


@dataclass(frozen=True)
class AuditSettings(AttackSettings):
    """How an audit samples and scores."""

    embedder: str = "auto"
    """`auto`: `pocket` on pocket, else `faces` if most photos show a face, else `general`. Or one by name: `pocket`,
    `faces`, `general`, `clip:<folder or id>` or `dino:<folder or id>`."""
    others: Path | None = None
    """Folder with photos of other people, one sub-folder a person or one photo a person; they are like yours, but show nobody whom
    your photos show. None takes those that come with the base's controls, or else lets the base draw some."""
    others_count: int = 99
    """Other people whom the base draws, where it has to: with 99 of them the smallest p-value is 0.01."""
    defences: bool = False
    """Measure what each post-hoc defence does to leak and use, and recommend one; as long again as two arms for each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.others_count < MIN_OTHERS:
            raise UsageError(
                f"others_count is {self.others_count}: give at least {MIN_OTHERS}, with fewer no p-value reaches 0.05"
            )

    @property
    def drawing(self) -> dict[str, Any]:
        """Keyword arguments of `draw_people`."""
        return {
            "class_prompt": self.class_prompt,
            "count": self.others_count,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
        }
