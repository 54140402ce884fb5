"""Training of pocket's embedder, on people of the embedder split: identities by contrast, attributes by name."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from loraleak.embedders.pocket import PeopleNet, PocketEmbedder
from loraleak.pocket.fitting import Schedule, Step, fit
from loraleak.pocket.image_autoencoder import pixels
from loraleak.pocket.renders import Renders

__all__ = ["EmbedderRecipe", "train_embedder"]


@dataclass(frozen=True)
class EmbedderRecipe:
    """Recipe of the training. A step takes two looks of each of `schedule.batch` people."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1400, batch=64, learning_rate=2e-3, weight_decay=0.02))
    temperature: float = 0.1
    attribute_weight: float = 0.5


def train_embedder(renders: Renders, recipe: EmbedderRecipe, folder: Path) -> PocketEmbedder:
    """Train by a supervised contrastive loss over people (Khosla et al. 2020), plus the cross-entropy of every attribute."""
    torch.manual_seed(recipe.schedule.seed)
    truth = [person.attributes() for person in renders.people]
    seen: dict[str, set[str]] = defaultdict(set)
    for row in truth:
        for name, value in row.items():
            seen[name].add(value)
    attributes = {name: tuple(sorted(values)) for name, values in seen.items()}
    labels = {name: torch.tensor([values.index(row[name]) for row in truth]) for name, values in attributes.items()}
    net = PeopleNet(attributes)

    def loss(step: Step) -> dict[str, Tensor]:
        people = step.rng.choice(len(renders.people), step.batch, replace=False)
        looks = np.stack([step.rng.choice(renders.looks_per_person, 2, replace=False) for _ in people])
        chosen = (people[:, None] * renders.looks_per_person + looks).ravel()
        identity, logits = net(_roughened(pixels(renders.images[chosen]), step))
        who = torch.from_numpy(np.repeat(people, 2))
        named = [F.cross_entropy(logits[name], values[who]) for name, values in labels.items()]
        contrast = _contrast(identity, recipe.temperature)
        return {
            "loss": contrast + recipe.attribute_weight * torch.stack(named).sum(),
            "contrast": contrast,
            "named": torch.stack(named).mean(),
        }

    fit("embedder", net, recipe.schedule, loss, folder)
    return PocketEmbedder(net)


def _contrast(identity: Tensor, temperature: float) -> Tensor:
    """The contrastive loss, where rows 2i and 2i + 1 are the same person and every other row is another person."""
    logits = (identity @ identity.T / temperature).fill_diagonal_(-1e4)
    return F.cross_entropy(logits, torch.arange(len(identity)) ^ 1)


def _roughened(x: Tensor, step: Step) -> Tensor:
    """Blur half of the pictures and add a little noise, as a decoder does."""
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand((len(x), 1, 1, 1), generator=step.generator).mul(2).sub(1).clamp(min=0)
    return x + share * (blurred - x) + 0.05 * torch.randn(x.shape, generator=step.generator)
