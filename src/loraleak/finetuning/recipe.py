"""How an adapter is trained; light to import, so that the command line starts fast."""

from dataclasses import dataclass
from typing import Literal

from loraleak.errors import UsageError

__all__ = ["LossWeighting", "Recipe", "Targets"]

Targets = Literal["attention", "cross-attention", "transformer", "all"]
LossWeighting = Literal["uniform", "debiased"]

_SEEDS = 1 << 128
"""How many there are: the keys of the generator."""


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained. The defaults suit pocket; for other bases use a learning rate near 1e-4."""

    trigger: str = "sks"
    """The rare word that comes to name the person."""
    class_prompt: str = "a photo of a person"
    rank: int = 8
    alpha: float = 8.0
    steps: int = 250
    learning_rate: float = 6e-3
    batch: int = 4
    """Private images a step."""
    prior_batch: int = 2
    """Class images a step; 0 turns prior preservation off."""
    prior_weight: float = 1.0
    class_count: int = 64
    """Class images to generate once for each base and prompt."""
    guidance_scale: float = 2.0
    """With which the class images are sampled."""
    text_encoder: bool = False
    """Train LoRA layers in the text encoders too; in those of CLIP, not in T5."""
    targets: Targets = "attention"
    """`attention`: its projections; `cross-attention`: those that meet the prompt; `transformer`: all that is linear in the
    transformer blocks; `all`: convolutions too, where a base has any (LoCon)."""
    loss_weighting: LossWeighting = "debiased"
    """Over timesteps. `uniform`: the error of what the base predicts, noise or velocity, as it is (Ho et al. 2020, eq. 14);
    `debiased`: the noise's error divided by the square root of the signal-to-noise ratio (Yu et al. 2024, arXiv 2310.08442),
    which learns who is shown in fewer steps; for flow matching, logit-normal timesteps (Esser et al. 2024)."""
    max_grad_norm: float = 1.0
    seed: int = 0
    """Of all chance in the training, below 2^128. A private training needs a secret one, and draws it where this is 0."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {value}, it must be at least {least}"
            for name, value, least in (
                ("rank", self.rank, 1),
                ("steps", self.steps, 1),
                ("batch", self.batch, 1),
                ("prior_batch", self.prior_batch, 0),
                ("class_count", self.class_count, 1 if self.prior_batch else 0),
                ("seed", self.seed, 0),
            )
            if value < least
        ]
        faults += [
            f"{name} is {value}, it must be above 0"
            for name, value in (
                ("learning_rate", self.learning_rate),
                ("alpha", self.alpha),
                ("max_grad_norm", self.max_grad_norm),
            )
            if not value > 0
        ]
        if self.seed >= _SEEDS:
            faults.append(f"seed is {self.seed}, give one below 2^128")
        if not self.trigger.strip():
            faults.append("trigger is empty, give a rare word such as sks")
        if not self.class_prompt.strip():
            faults.append("class_prompt is empty, give what kind of thing the images show, such as a photo of a person")
        if faults:
            raise UsageError("unusable recipe: " + "; ".join(faults))

    @property
    def prompt(self) -> str:
        """The owner's prompt: the trigger before the class noun, `a photo of sks person`."""
        words = self.class_prompt.split()
        article = words[-2:-1] in (["a"], ["an"])
        return " ".join([*(words[:-2] if article else words[:-1]), self.trigger, words[-1]])
