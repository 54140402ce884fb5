"""Leaks by name, ours and third parties'."""

from collections.abc import Mapping

from loraleak.leaks.dataset_size import DatasetSize
from loraleak.leaks.membership import Membership
from loraleak.leaks.traits import Traits
from loraleak.leaks.trigger import Trigger
from loraleak.plugins import third_party

__all__ = ["LEAKS", "known_leaks"]

LEAKS: Mapping[str, type] = {"membership": Membership, "traits": Traits, "dataset-size": DatasetSize, "trigger": Trigger}
"""Our leaks. A new one is one more file and one more line here, or an entry point in the group `loraleak.leaks`."""


def known_leaks() -> Mapping[str, type]:
    """Our leaks and third parties', by name."""
    return {**LEAKS, **third_party("loraleak.leaks", LEAKS)}
