"""Settings of an attack and of its training; light to import, so that the command line starts fast."""

from dataclasses import dataclass, replace
from typing import Literal

from loraleak.checks import ABOVE_0, SEEDS, out_of_bounds, refuse
from loraleak.finetuning import LossWeighting

__all__ = ["Algorithm2", "Knowledge", "RateSchedule", "TrainSettings", "TrainingMode"]

Knowledge = Literal["file", "start", "shared-start"]
"""What an encoder is shown. `file`: factors as they are; `start`: their change since the first step; `shared-start`: their change since
the one start that all adapters of the zoo have."""

TrainingMode = Literal["replay", "online"]
"""Source of examples. `replay`: snapshots from zoos. `online`: new fine-tuning of the zoos' people (Yao 2024, Algorithm 2)."""

RateSchedule = Literal["cosine", "constant"]

_BOUNDS = {
    "steps": (1, 10_000_000),
    "batch": (1, 65_536),
    "learning_rate": (ABOVE_0, 10),
    "weight_decay": (0, 10),
    "warmup": (0, 10_000_000),
    "max_grad_norm": (ABOVE_0, 1e9),
    "told_steps": (0, 1),
    "caption_weight": (0, 1e6),
    "noise_weight": (0, 1e6),
    "noise_from": (0, 1),
    "noise_adapters": (1, 4096),
    "noise_images": (1, 4096),
    "least_strength": (0, 1),
    "beta": (0, 1e6),
    "held_out": (0, 1),
    "evaluate_every": (1, 10_000_000),
    "patience": (1, 10_000_000),
    "seed": SEEDS,
}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of the training of a weight autoencoder."""

    encoder: str = "invariant"
    """Network that reads adapters: `invariant` reads products B A only; `ridge` does too, and begins with a ridge
    regression, which suits few people; `published` (Yao 2024) reads A and B as they are."""
    knowledge: Knowledge = "file"
    """Part of an adapter that is read: the `file` as shared, its change since the `start`, which needs the training seed, or its change
    since a `shared-start`, that of all adapters of the zoo."""
    step_embedding: bool = True
    """Tell the encoder the fine-tuning step and train on all snapshots; without it, train on each run's last snapshot only."""
    steps: int = 4_500
    """Most training steps; early stopping can end them sooner."""
    batch: int = 64
    """Adapters in each step."""
    learning_rate: float = 1e-3
    """Highest learning rate of AdamW."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    warmup: int = 100
    """Steps in which the learning rate rises to its highest."""
    rate_schedule: RateSchedule = "cosine"
    """Course of the learning rate after that."""
    max_grad_norm: float | None = 1.0
    """Largest norm of the gradient; larger ones are scaled down. None scales none."""
    told_steps: float = 0.5
    """Share of adapters whose step the encoder is told while it trains; the file of a stranger does not tell it."""
    caption_weight: float = 1.0
    """Weight of the distance between z and the prompt embedding of the person's captions."""
    noise_weight: float = 30.0
    """Weight of the noise-prediction loss, which has the adapter's own model as decoder; it is small beside the distance."""
    noise_from: float = 0.7
    """Share of the steps before the noise-prediction loss sets in, which takes most of the time."""
    noise_adapters: int = 16
    """Adapters of the batch that are decoded."""
    noise_images: int = 2
    """Images of the person for each decoded adapter."""
    loss_weighting: LossWeighting = "debiased"
    """Weights of noise levels in the noise-prediction loss, as in fine-tuning."""
    least_strength: float = 0.0
    """Least scale of a decoded adapter; scales are drawn from this to 1. Where an adapter is weak, z must carry the person."""
    beta: float = 1e-4
    """Weight of the divergence of z from a standard normal."""
    held_out: float = 0.05
    """Share of people who are kept out of training, for early stopping."""
    evaluate_every: int = 250
    """Steps between evaluations on held-out people."""
    patience: int = 8
    """Evaluations without improvement before training stops."""
    early_stopping: bool = True
    """Stop then, and keep the encoder that read held-out people best; otherwise keep the last one."""
    seed: int = 0
    """Seed of the encoder's start, the order of examples and the noise."""

    def __post_init__(self) -> None:
        faults = out_of_bounds(self, _BOUNDS)
        if not self.caption_weight and not self.noise_weight:
            faults.append("caption_weight and noise_weight are both 0, so nothing would be learned")
        refuse(*faults)


_ALGORITHM2_BOUNDS = {
    "encoder_rate": (ABOVE_0, 10),
    "encoder_decay": (0, 10),
    "longest_run": (1, 10_000_000),
    "caption_distance": (0, 1e6),
}


@dataclass(frozen=True)
class Algorithm2:
    """Settings of mode `online` with the encoder `published`. Every default is the published value; of the training's other settings
    only steps, held-out people, evaluations, step embedding, knowledge `shared-start` and seed count."""

    encoder_rate: float = 5e-3
    """Learning rate of the encoder's AdamW, constant, without clipping."""
    encoder_decay: float = 5e-4
    """Weight decay of the encoder's AdamW."""
    longest_run: int = 1000
    """Most steps of a person's fine-tuning; their number is uniform from 1."""
    caption_distance: float = 0.0
    """Weight of the distance between z and the captions, which an older version of the code added to the noise-prediction loss."""
    slip: bool = False
    """Train each adapter by the encoder's loss too, as the code does: it leaves that loss's gradient for the adapter's next step."""

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, _ALGORITHM2_BOUNDS))

    def applied(self, settings: TrainSettings) -> TrainSettings:
        """The training's settings: one adapter, one image, one noise level an update, and z drawn from its distribution."""
        return replace(
            settings,
            knowledge="start" if settings.knowledge == "file" else settings.knowledge,
            batch=1,
            learning_rate=self.encoder_rate,
            weight_decay=self.encoder_decay,
            warmup=0,
            rate_schedule="constant",
            max_grad_norm=None,
            told_steps=1.0,
            caption_weight=self.caption_distance,
            noise_weight=1.0,
            noise_from=0.0,
            noise_adapters=1,
            noise_images=1,
            loss_weighting="uniform",
            least_strength=1.0,
            beta=0.0,
            early_stopping=False,
        )
