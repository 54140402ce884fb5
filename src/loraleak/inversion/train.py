"""Training of a weight autoencoder, from a zoo's snapshots or while fine-tuning."""

from pathlib import Path

from loraleak.bases import DiffusersBase
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.online import fine_tuned
from loraleak.inversion.public import PublicPeople
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import TrainingMode, TrainSettings
from loraleak.inversion.weight_autoencoder import WeightAutoencoder

__all__ = ["train_attack"]


def train_attack(
    base: DiffusersBase,
    public: PublicPeople,
    settings: TrainSettings,
    folder: Path,
    *,
    mode: TrainingMode = "replay",
    warm_start: WeightAutoencoder | None = None,
    together: int = 1,
) -> WeightAutoencoder:
    """Train an attack on public people. `folder` keeps checkpoints and logs, and a stopped training goes on from there.

    `warm_start` is a finished attack to go on from. Mode `online` fine-tunes `together` people side by side; 1 is as published.
    Raises: UsageError, as `TrainingRun`.
    """
    training = TrainingRun(base, public, settings, folder, warm_start)
    training.run(replayed(training) if mode == "replay" else fine_tuned(training, together))
    return training.finished()
