"""Pure functions of arrays. In: embeddings and similarities. Out: rates, areas, intervals."""

from loraleak.scores.copying import exposure
from loraleak.scores.identification import gallery_ranks
from loraleak.scores.intervals import bootstrap_mean, paired_difference
from loraleak.scores.verification import accept_threshold, auc, true_accept_rate

__all__ = [
    "accept_threshold",
    "auc",
    "bootstrap_mean",
    "exposure",
    "gallery_ranks",
    "paired_difference",
    "true_accept_rate",
]
