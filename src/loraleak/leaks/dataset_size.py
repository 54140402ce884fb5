"""Dataset size: on how many photos the file was trained, from the weights alone."""

from dataclasses import dataclass

from loraleak.arms import Scene
from loraleak.bases.estimate import Estimate
from loraleak.leaks.needs import lacks_readers
from loraleak.leaks.protocol import Evidence, Leak
from loraleak.readers import Number, number_of_photos
from loraleak.reporting.results import Answer
from loraleak.types import Interval

__all__ = ["DatasetSize"]


@dataclass(frozen=True)
class DatasetSize(Leak):
    """The number of photos, from the spectra of the updates (the idea of DSiRe, Salama et al. 2024, arXiv 2406.19395), by ridge
    regression on files of many recipes."""

    name: str = "dataset-size"
    question: str = "Can somebody tell how many photos you used?"

    def lacks(self, scene: Scene, evidence: Evidence) -> str:
        return lacks_readers(scene, evidence) or (
            ""
            if evidence.readers is not None and evidence.readers.card.size
            else "Not tested. The kit has no reader of numbers."
        )

    def estimate(self, scene: Scene, evidence: Evidence) -> Estimate:
        return Estimate(0, 0, 1.0)

    def answer(self, scene: Scene, evidence: Evidence) -> Answer:
        """The number with bounds, and how wrong the reader and a blind guess are on people who were kept apart."""
        readers = evidence.readers
        assert readers is not None
        card, read = readers.card, number_of_photos(readers, scene.adapter)
        measured = card.measured
        error, guess = (None, None) if measured is None else (measured.size_error, measured.size_guess)
        better = error is not None and guess is not None and error.high < guess.mean
        return Answer(
            self.name,
            self.question,
            _in_words(read, error, better=better),
            null=f"The guess of somebody who has not seen the file: {read.usual}, the usual number{_wrong(guess)}",
        )


def _in_words(read: Number, error: Interval | None, *, better: bool) -> str:
    reading = f"The weights look like {_photos(read.photos)}, and nine of ten such files have {read.low} to {read.high}"
    if not better:
        return f"Not shown. {reading}. On people kept apart this reading is not surely better than a guess{_wrong(error)}."
    return f"Roughly. {reading}. On people kept apart the reading is wrong{_factor(error)} on average."


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _wrong(error: Interval | None) -> str:
    return "" if error is None else f", which is wrong{_factor(error)} on average"


def _factor(error: Interval | None) -> str:
    return "" if error is None else f" by a factor of {2**error.mean:.1f}"
