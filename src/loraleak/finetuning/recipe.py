"""Recipe of fine-tuning; light to import, so that the command line starts fast."""

import math
from dataclasses import dataclass
from typing import Literal

from loraleak.checks import ABOVE_0, out_of_bounds, refuse

__all__ = ["LossWeighting", "Recipe", "Targets"]

Targets = Literal["attention", "cross-attention", "transformer", "all"]
LossWeighting = Literal["uniform", "debiased"]

_BOUNDS = {
    "rank": (1, 1024),
    "alpha": (ABOVE_0, 1e6),
    "steps": (1, 10_000_000),
    "learning_rate": (ABOVE_0, 10),
    "batch": (1, 4096),
    "prior_batch": (0, 4096),
    "prior_weight": (0, 1000),
    "guidance_scale": (0, 100),
    "max_grad_norm": (ABOVE_0, 1e9),
    "seed": (0, math.inf),
    "start_seed": (0, math.inf),
}
_SEEDS = 1 << 128
"""Number of seeds, which are the keys of the generator."""


@dataclass(frozen=True)
class Recipe:
    """Recipe of fine-tuning. The defaults suit pocket. For other bases use a learning rate near 1e-4."""

    trigger: str = "sks"
    """Rare word that comes to name the person."""
    class_prompt: str = "a photo of a person"
    """Prompt for the kind of thing in the images, without the trigger."""
    rank: int = 8
    """Rank of the factors."""
    alpha: float = 8.0
    """LoRA's alpha: updates are scaled by alpha / rank."""
    steps: int = 250
    """Steps of fine-tuning."""
    learning_rate: float = 6e-3
    """Learning rate of AdamW."""
    batch: int = 4
    """Private images in each step."""
    prior_batch: int = 2
    """Class images in each step. 0 turns prior preservation off."""
    prior_weight: float = 1.0
    """Weight of the class images' loss."""
    class_count: int = 64
    """Class images to generate once for each base and prompt."""
    guidance_scale: float = 2.0
    """Scale of classifier-free guidance with which the class images are sampled."""
    text_encoder: bool = False
    """Train LoRA layers in CLIP's text encoders too. T5 is never trained."""
    targets: Targets = "attention"
    """Layers that get factors. `attention`: its projections; `cross-attention`: its projections that take the prompt;
    `transformer`: all linear layers of the transformer blocks; `all`: convolutions too, where a base has any (LoCon)."""
    loss_weighting: LossWeighting = "debiased"
    """Weights of timesteps. `uniform`: the plain error of the predicted noise or velocity (Ho et al. 2020, eq. 14); `debiased`:
    the noise's error by the root of the signal-to-noise ratio (Yu et al. 2024), which learns a person in fewer steps; for flow
    matching, `debiased` means logit-normal timesteps (Esser et al. 2024)."""
    max_grad_norm: float = 1.0
    """Largest norm of an adapter's gradient; larger ones are scaled down."""
    seed: int = 0
    """Seed of all chance in the training, below 2^128. A private training needs a secret one, and draws it where this is 0."""
    start_seed: int | None = None
    """Seed of the factors A at the start, below 2^128; None takes that of the training."""

    def __post_init__(self) -> None:
        faults = out_of_bounds(self, {**_BOUNDS, "class_count": (1 if self.prior_batch else 0, 100_000)})
        given = {"seed": self.seed, "start_seed": self.start_seed or 0}
        faults += [f"{name} is {seed}, give one below 2^128" for name, seed in given.items() if seed >= _SEEDS]
        if not self.trigger.strip():
            faults.append("trigger is empty, give a rare word such as sks")
        if not self.class_prompt.strip():
            faults.append("class_prompt is empty, give what kind of thing the images show, such as a photo of a person")
        refuse(*faults)

    @property
    def start(self) -> int:
        """Seed of the factors A at the start."""
        return self.seed if self.start_seed is None else self.start_seed

    @property
    def prompt(self) -> str:
        """The owner's prompt: the trigger before the class noun, `a photo of sks person`."""
        words = self.class_prompt.split()
        article = words[-2:-1] in (["a"], ["an"])
        return " ".join([*(words[:-2] if article else words[:-1]), self.trigger, words[-1]])
