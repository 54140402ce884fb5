"""Scores: pure functions of arrays. In: sightings in pictures, embeddings, similarities. Out: persons, rates, areas, intervals."""

from loraleak.scores.copying import exposure
from loraleak.scores.identification import gallery_ranks, leave_one_out, recognised
from loraleak.scores.intervals import bootstrap_mean, exact_share, paired_difference
from loraleak.scores.recurrence import Appearances, Shown, left_out, recurring
from loraleak.scores.sightings import found, nearest, nearness
from loraleak.scores.similarity import evidence, mean_cosine, template
from loraleak.scores.verification import accept_threshold, auc, true_accept_rate

__all__ = [
    "Appearances",
    "Shown",
    "accept_threshold",
    "auc",
    "bootstrap_mean",
    "evidence",
    "exact_share",
    "exposure",
    "found",
    "gallery_ranks",
    "leave_one_out",
    "left_out",
    "mean_cosine",
    "nearest",
    "nearness",
    "paired_difference",
    "recognised",
    "recurring",
    "template",
    "true_accept_rate",
]
