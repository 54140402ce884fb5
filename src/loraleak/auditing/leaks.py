"""What else the file tells: leaks beside pictures of the person, with the evidence that the owner gave."""

from loraleak.auditing.loading import Loaded
from loraleak.bases.estimate import Estimate
from loraleak.leaks import Evidence, Leak, known_leaks
from loraleak.reporting import Answer

__all__ = ["answer", "estimates"]


def answer(leak: Leak, loaded: Loaded) -> Answer:
    """The leak's answer, or why the question was not tested. The file runs at its stated strength, as it was trained."""
    evidence = _evidence_of(loaded)
    if why := leak.lacks(evidence):
        return Answer(leak.name, leak.question, why)
    return leak.answer(loaded.scene, evidence)


def estimates(loaded: Loaded) -> list[Estimate]:
    """Time and memory of every question that will be answered."""
    leaks, evidence = [leak() for leak in known_leaks().values()], _evidence_of(loaded)
    return [leak.estimate(loaded.scene, evidence) for leak in leaks if not leak.lacks(evidence)]


def _evidence_of(loaded: Loaded) -> Evidence:
    """The owner's photos that were trained on, and those that were not."""
    return Evidence(
        [photo.picture for photo in loaded.folder],
        [photo.name for photo in loaded.folder],
        [photo.picture for photo in loaded.held_out],
    )
