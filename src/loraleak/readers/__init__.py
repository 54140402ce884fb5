"""Readers of weights. In: zoos of people of whom something is known. Out: small linear maps from an adapter to words and a number.

Reading order: `features` (what is seen of an adapter), `samples` (adapters to learn from), `linear` (ridge regression),
`learning_traits` and `learning_size`, `trigger` (which prompt the text layers answer to), `calibration` (is a confidence right?),
`learning` (all of it), `contents` (what a kit holds), `reading` (what readers say of one adapter). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.readers.contents import Measured as Measured
    from loraleak.readers.contents import Readers as Readers
    from loraleak.readers.contents import ReadersCard as ReadersCard
    from loraleak.readers.contents import checked as checked
    from loraleak.readers.learning import learn_readers as learn_readers
    from loraleak.readers.reading import Number as Number
    from loraleak.readers.reading import Word as Word
    from loraleak.readers.reading import number_of_photos as number_of_photos
    from loraleak.readers.reading import reads as reads
    from loraleak.readers.reading import words as words
    from loraleak.readers.samples import Samples as Samples
    from loraleak.readers.samples import samples_of as samples_of
    from loraleak.readers.samples import split_of as split_of
    from loraleak.readers.trigger import excitation as excitation

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "contents": ["Measured", "Readers", "ReadersCard", "checked"],
        "learning": ["learn_readers"],
        "reading": ["Number", "Word", "number_of_photos", "reads", "words"],
        "samples": ["Samples", "samples_of", "split_of"],
        "trigger": ["excitation"],
    },
)
