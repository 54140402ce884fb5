"""What an attack is and how it is trained; light to import, so that the command line starts fast."""

from dataclasses import dataclass
from typing import Literal

from loraleak.errors import UsageError

__all__ = ["EncoderKind", "Knowledge", "TrainSettings", "TrainingMode"]

EncoderKind = Literal["invariant", "conv-clip"]
Knowledge = Literal["file", "start"]
TrainingMode = Literal["replay", "online"]
"""`replay`: from the zoos' snapshots, in random order. `online`: while the zoos' people are fine-tuned anew (Yao 2024, Algorithm 2)."""


@dataclass(frozen=True)
class TrainSettings:
    """How a weight autoencoder is trained."""

    encoder: EncoderKind = "invariant"
    """`invariant` reads products B A only; `conv-clip` is the published network, which reads A and B as they are."""
    knowledge: Knowledge = "file"
    """`file`: the adapter as it is shared; `start`: its change since the first step, which needs the seed of its training."""
    step_embedding: bool = True
    """Tell the encoder the fine-tuning step, and train on all snapshots; off: on each run's last one only."""
    steps: int = 4_500
    batch: int = 64
    """Adapters a step."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 100
    caption_weight: float = 1.0
    """Of the distance between z and the prompt embedding of the public people's captions."""
    noise_weight: float = 30.0
    """Of the noise-prediction loss, with the adapter's own model as decoder; it is small beside the distance to captions."""
    noise_from: float = 0.7
    """Share of the steps that pass before the noise-prediction loss sets in; it costs most of the time."""
    noise_adapters: int = 16
    """Of the batch, how many adapters are decoded."""
    noise_images: int = 2
    """Images of each decoded adapter's person."""
    least_strength: float = 0.0
    """Decoded adapters are scaled by a number drawn from this to 1: where they are weak, z itself must carry the person."""
    beta: float = 1e-4
    """Of the divergence from a standard normal."""
    held_out: float = 0.05
    """Share of people who are never trained on, for early stopping."""
    evaluate_every: int = 250
    patience: int = 8
    """Evaluations without improvement before training stops."""
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "steps": 1,
            "batch": 2,
            "noise_adapters": 1,
            "noise_images": 1,
            "evaluate_every": 1,
            "patience": 1,
            "warmup": 0,
        }
        faults = [
            f"{name} is {getattr(self, name)}, it must be at least {low}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        faults += [
            f"{name} is {getattr(self, name)}, give 0 to 1"
            for name in ("noise_from", "least_strength", "held_out")
            if not 0 <= getattr(self, name) <= 1
        ]
        if not self.caption_weight and not self.noise_weight:
            faults.append("caption_weight and noise_weight are both 0, so nothing would be learned")
        if faults:
            raise UsageError("unusable training settings: " + "; ".join(faults))
