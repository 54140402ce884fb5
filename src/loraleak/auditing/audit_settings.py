"""What an audit can be told; light to import, so that the command line starts fast."""

from dataclasses import dataclass

from loraleak.base_settings import BaseSettings
from loraleak.errors import UsageError

__all__ = ["AttackSettings", "AuditSettings"]


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

    embedder: str = "pocket"
    """`pocket`, `faces`, `general`, `clip:<folder or id>` or `dino:<folder or id>`."""
    defences: bool = False
    """Measure what each post-hoc defence does to leak and use, and recommend one; as long again as two arms for each."""
