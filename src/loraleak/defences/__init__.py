"""Defences. In: an adapter (post-hoc), or a base and jobs to fine-tune (training-time). Out: the defended adapter.

Reading order: `protocol` (the two kinds), `names` (by text), then one file a defence.
"""

from loraleak.defences.names import DEFENCES, known_defences, links, parse_defence, spelled, training_time
from loraleak.defences.protocol import Guarantee, PostHoc, TrainingTime

__all__ = [
    "DEFENCES",
    "Guarantee",
    "PostHoc",
    "TrainingTime",
    "known_defences",
    "links",
    "parse_defence",
    "spelled",
    "training_time",
]
