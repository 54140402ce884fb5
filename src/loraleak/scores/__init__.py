"""Pure functions of arrays. In: embeddings and similarities. Out: rates, areas, intervals."""

from loraleak.scores.copying import exposure
from loraleak.scores.identification import gallery_ranks, leave_one_out
from loraleak.scores.intervals import bootstrap_mean, paired_difference
from loraleak.scores.similarity import evidence, mean_cosine, template
from loraleak.scores.verification import accept_threshold, auc, true_accept_rate

__all__ = [
    "accept_threshold",
    "auc",
    "bootstrap_mean",
    "evidence",
    "exposure",
    "gallery_ranks",
    "leave_one_out",
    "mean_cosine",
    "paired_difference",
    "template",
    "true_accept_rate",
]
