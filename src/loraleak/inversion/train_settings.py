"""Settings of an attack and of its training; light to import, so that the command line starts fast."""

from dataclasses import dataclass
from typing import Literal

from loraleak.checks import ABOVE_0, SEEDS, out_of_bounds, refuse

__all__ = ["Knowledge", "TrainSettings", "TrainingMode"]

Knowledge = Literal["file", "start"]
TrainingMode = Literal["replay", "online"]
"""Source of examples. `replay`: snapshots from zoos. `online`: new fine-tuning of the zoos' people (Yao 2024, Algorithm 2)."""


_BOUNDS = {
    "steps": (1, 10_000_000),
    "batch": (2, 65_536),
    "learning_rate": (ABOVE_0, 10),
    "weight_decay": (0, 10),
    "warmup": (0, 10_000_000),
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
    """Network that reads adapters: `invariant` reads products B A only; `published` (Yao 2024) reads A and B as they are."""
    knowledge: Knowledge = "file"
    """Part of an adapter that is read: the `file` as shared, or its change since the `start`, which needs the training seed."""
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
    seed: int = 0
    """Seed of the encoder's start, the order of examples and the noise."""

    def __post_init__(self) -> None:
        faults = out_of_bounds(self, _BOUNDS)
        if not self.caption_weight and not self.noise_weight:
            faults.append("caption_weight and noise_weight are both 0, so nothing would be learned")
        refuse(*faults)
