"""Settings of a kit; light to import, so that the command line starts fast."""

from dataclasses import dataclass, field

from loraleak.base_settings import AUDIT_STEPS, BaseSettings
from loraleak.checks import SEEDS, out_of_bounds, refuse
from loraleak.zoo import RecipeRanges

__all__ = ["KitSettings"]

_BOUNDS = {
    "controls": (1, 10_000),
    "others": (2, 100_000),
    "quality": (2, 10_000),
    "photos": (2, 1000),
    "pictures": (2, 4096),
    "sampler_steps": (2, 1000),
    "guidance_scale": (0, 100),
    "train_steps": (1, 10_000_000),
    "train_batch": (2, 65_536),
    "seed": SEEDS,
}


@dataclass(frozen=True)
class KitSettings(BaseSettings):
    """Settings of a kit: how the people are split, how adapters are fine-tuned, what is learned, and how it is sampled."""

    embedder: str = "faces"
    """Embedder of the audits: `pocket`, `faces`, `general`, `clip:<folder or id>` or `dino:<folder or id>`."""
    controls: int = 99
    """People whose adapters become controls. 99 give a smallest p-value of 0.01."""
    others: int = 200
    """Other people, with whom an audit compares the owner."""
    quality: int = 50
    """People kept apart from everything, on whom the quality is measured."""
    photos: int = 5
    """Photos that the adapter of a control, or of a person kept apart, is trained on. Each needs one more."""
    pictures: int = 8
    """Pictures of each arm. Audits use 8."""
    sampler_steps: int = AUDIT_STEPS
    """Sampler steps. The controls hold for audits with as many."""
    guidance_scale: float = 3.0
    """Scale of classifier-free guidance. The controls hold for audits with the same, 3 by default."""
    encoder: str = "invariant"
    """Network that reads adapters."""
    train_steps: int = 4_500
    """Most training steps of that network."""
    train_batch: int = 64
    """Adapters in each of these steps."""
    seed: int = 0
    """Seed of the split, the recipes, the training and the noise."""
    source: str = ""
    """Where the people come from, for the card."""
    licence: str = ""
    """Licence of their photos, for the card."""
    templates: bool = True
    """Keep embeddings of other people and of control adapters in the kit. Those of real people are biometric data."""
    ranges: RecipeRanges = field(default_factory=RecipeRanges)
    """Ranges of the recipes of all adapters. The default learning rates suit pocket; others need about 1e-4."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(*out_of_bounds(self, _BOUNDS))

    @property
    def parts(self) -> dict[str, int]:
        """Sizes of the parts of the split, but for the public people, who are all others."""
        return {"controls": self.controls, "others": self.others, "quality": self.quality}
