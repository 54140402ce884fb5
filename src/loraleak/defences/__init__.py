"""Defences. In: an adapter (post-hoc), or a base and jobs to fine-tune (training-time). Out: the defended adapter.

Reading order: `protocol` (the two kinds), `guarantee` (the promise of a private one), `names` and `chain` (defences from text),
one file a defence in `finished` (post-hoc) and `training`, `defended_training` and `defended_copy` (the calls for users),
`trials` (results against adaptive attacks).
"""

from loraleak.defences.chain import in_training
from loraleak.defences.defended_copy import scrub
from loraleak.defences.defended_training import Finetuned, check_seed, finetune
from loraleak.defences.guarantee import NO_PROMISE, Guarantee
from loraleak.defences.names import DEFENCES, known_defences, links, parse_defence, spelled, training_time
from loraleak.defences.protocol import Defence, PostHoc, TrainingTime
from loraleak.defences.trials import Trial, trial_of
from loraleak.defences.undefended import UNDEFENDED

__all__ = [
    "DEFENCES",
    "NO_PROMISE",
    "UNDEFENDED",
    "Defence",
    "Finetuned",
    "Guarantee",
    "PostHoc",
    "TrainingTime",
    "Trial",
    "check_seed",
    "finetune",
    "in_training",
    "known_defences",
    "links",
    "parse_defence",
    "scrub",
    "spelled",
    "training_time",
    "trial_of",
]
