"""Training from zoos: shuffled snapshots of many people, many victims' denoisers in one pass."""

import numpy as np

from loraleak.inversion.learning import Source, TrainingRun
from loraleak.inversion.public import Examples

__all__ = ["replayed"]


def replayed(training: TrainingRun) -> Source:
    """Snapshots of people who are not held out, in random order. Those of one step come from one zoo."""
    public, settings = training.public, training.settings
    sizes = np.array([len(rows) for rows in training.rows])

    def source(step: int) -> Examples:
        rng = np.random.default_rng([settings.seed, 5, training.process, step])
        zoo = int(rng.choice(len(sizes), p=sizes / sizes.sum()))
        chosen = rng.choice(training.rows[zoo], min(settings.batch, sizes[zoo]), replace=False)
        return public.examples(zoo, chosen, settings.knowledge)

    return source
