"""Training from zoos: shuffled snapshots of many people, many victims' denoisers in one pass."""

from pathlib import Path

import numpy as np

from loraleak.bases import DiffusersBase
from loraleak.inversion.learning import Source, TrainingRun
from loraleak.inversion.public import Examples, PublicPeople
from loraleak.inversion.train_settings import TrainSettings
from loraleak.inversion.weight_autoencoder import WeightAutoencoder

__all__ = ["replayed", "train_replay"]


def train_replay(
    base: DiffusersBase,
    public: PublicPeople,
    settings: TrainSettings,
    folder: Path,
    warm_start: WeightAutoencoder | None = None,
) -> WeightAutoencoder:
    """Train on snapshots in random order, each step on those of one zoo; goes on from `folder`, where checkpoints and logs are kept.

    Raises: UsageError, as `TrainingRun`.
    """
    training = TrainingRun(base, public, settings, folder, warm_start)
    training.run(replayed(training))
    return training.finished()


def replayed(training: TrainingRun) -> Source:
    """Snapshots of people who are trained on, in random order."""
    public, settings = training.public, training.settings
    sizes = np.array([len(rows) for rows in training.rows])

    def source(step: int) -> Examples:
        rng = np.random.default_rng([settings.seed, 5, training.process, step])
        zoo = int(rng.choice(len(sizes), p=sizes / sizes.sum()))
        chosen = rng.choice(training.rows[zoo], min(settings.batch, sizes[zoo]), replace=False)
        return public.examples(zoo, chosen, from_start=settings.knowledge == "start")

    return source
