"""Training of a weight autoencoder, from a zoo's snapshots or while fine-tuning."""

from dataclasses import asdict
from pathlib import Path

from loraleak.bases import DiffusersBase
from loraleak.inversion.algorithm2 import algorithm2_source
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.online import fine_tuned
from loraleak.inversion.public import PublicPeople
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import Algorithm2, TrainingMode, TrainSettings
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
    algorithm2: Algorithm2 | None = None,
) -> WeightAutoencoder:
    """Train an attack on public people. `folder` keeps checkpoints and logs, and a stopped training goes on from there.

    `warm_start` is a finished attack to go on from. Mode `online` fine-tunes `together` people side by side; with the encoder
    `published` it is `algorithm2`, the published training.
    Raises: UsageError, as `TrainingRun`.
    """
    if mode == "online" and settings.encoder == "published":
        published = algorithm2 or Algorithm2()
        training = TrainingRun(base, public, published.applied(settings), folder, warm_start, facts=asdict(published))
        training.run(algorithm2_source(training, published))
    else:
        training = TrainingRun(base, public, settings, folder, warm_start)
        training.run(replayed(training) if mode == "replay" else fine_tuned(training, together))
    return training.finished()
