"""What else an adapter gives away, beside pictures of the person. In: a scene and evidence. Out: answers with a null each.

Reading order: `protocol` (what a leak is), `photo_scores` (how well a model knows one photo), `membership` (which photos were trained
on), `traits` and `dataset_size` (what readers of weights say), `trigger` (the word that opens the file), `needs` (why readers cannot
be asked), `names` (all of them by name).
"""

from loraleak.leaks.dataset_size import DatasetSize
from loraleak.leaks.membership import Membership
from loraleak.leaks.names import LEAKS, known_leaks
from loraleak.leaks.photo_scores import PHOTO_SCORES, PhotoScore
from loraleak.leaks.protocol import Evidence, Leak
from loraleak.leaks.traits import Traits
from loraleak.leaks.trigger import Trigger

__all__ = [
    "LEAKS",
    "PHOTO_SCORES",
    "DatasetSize",
    "Evidence",
    "Leak",
    "Membership",
    "PhotoScore",
    "Traits",
    "Trigger",
    "known_leaks",
]
