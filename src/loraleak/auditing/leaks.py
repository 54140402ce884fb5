"""What else the file tells: leaks beside pictures of the person, with the evidence that the owner gave."""

from collections.abc import Sequence

from loraleak.arms import Scene
from loraleak.auditing.loading import Loaded
from loraleak.bases.estimate import Estimate
from loraleak.kits import Kit
from loraleak.leaks import Evidence, Leak, known_leaks
from loraleak.reporting import Answer

__all__ = ["answer", "answers_without_photos", "estimates"]


def answer(leak: Leak, loaded: Loaded) -> Answer:
    """The leak's answer, or why the question was not tested. The file runs at its stated strength, as it was trained."""
    scene, evidence = loaded.scene, _evidence_of(loaded)
    if why := leak.lacks(scene, evidence):
        return Answer(leak.name, leak.question, why)
    return leak.answer(scene, evidence)


def answers_without_photos(scene: Scene, kit: Kit | None) -> tuple[Answer, ...]:
    """Answers to the questions that need no photo, for whoever holds the file alone."""
    evidence = Evidence(readers=None if kit is None else kit.readers)
    return tuple(leak.answer(scene, evidence) for leak in _leaks() if not leak.lacks(scene, evidence))


def estimates(loaded: Loaded) -> list[Estimate]:
    """Time and memory of every question that will be answered."""
    scene, evidence = loaded.scene, _evidence_of(loaded)
    return [leak.estimate(scene, evidence) for leak in _leaks() if not leak.lacks(scene, evidence)]


def _leaks() -> Sequence[Leak]:
    return [leak() for leak in known_leaks().values()]


def _evidence_of(loaded: Loaded) -> Evidence:
    """The owner's photos that were trained on, those that were not, and the readers of the kit."""
    return Evidence(
        [photo.picture for photo in loaded.folder],
        [photo.name for photo in loaded.folder],
        [photo.picture for photo in loaded.held_out],
        None if loaded.kit is None else loaded.kit.readers,
    )
