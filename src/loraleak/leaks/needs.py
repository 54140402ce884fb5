"""Reasons why a reader of weights cannot be asked."""

from loraleak.arms import Scene
from loraleak.leaks.protocol import Evidence
from loraleak.readers import reads

__all__ = ["lacks_readers"]


def lacks_readers(scene: Scene, evidence: Evidence) -> str:
    """Why readers cannot read the scene's adapter; empty where they can."""
    readers = evidence.readers
    if readers is None:
        return "Not tested. It takes a kit with readers of weights: `loraleak kit readers` adds them."
    if readers.card.base_sha256 != scene.base.sha256:
        return "Not tested. The kit's readers learned from files of another base."
    if not reads(readers, scene.adapter):
        return "Not tested. The kit's readers learned from files that change other layers than this one."
    return ""
