"""Learning of all readers from zoos, and their measurement on people who are kept apart."""

import numpy as np

from loraleak.readers.calibration import error_with_interval
from loraleak.readers.contents import Measured, Readers, ReadersCard, Trait
from loraleak.readers.features import probed, probes_of
from loraleak.readers.learning_size import SizeJudged, judge_size, learn_size
from loraleak.readers.learning_traits import Judged, judge_traits, learn_traits
from loraleak.readers.reading import size_features
from loraleak.readers.samples import Rows, Samples, split_of
from loraleak.readers.trigger import learn_usual
from loraleak.scores import bootstrap_mean
from loraleak.types import Interval

__all__ = ["learn_readers"]

_PROBES = 8


def learn_readers(samples: Samples, *, kept_apart: int, seed: int = 0) -> Readers:
    """Learn readers of traits and of the number of photos, and measure them on `kept_apart` people.

    Traits are those that everybody has by name. The number of photos is learned from the zoos in which it differs widely.
    Raises: as `split_of`.
    """
    learned, apart = split_of(samples, kept_apart, seed)
    numbers = np.unique(samples.people, return_inverse=True)[1]
    people, sized = numbers[learned], np.intersect1d(learned, samples.wide)
    everybody, zoo = np.arange(len(samples)), samples.zoo
    probes = probes_of(samples.batches(learned), dict(sorted(zoo.shapes.items())), _PROBES)
    tensors: dict[str, np.ndarray] = {f"left/{name}": value.numpy() for name, value in probes.left.items()}
    tensors |= {f"right/{name}": value.numpy() for name, value in probes.right.items()}
    tensors |= learn_usual(samples.batches(learned), zoo.shapes)
    spectra = np.concatenate([size_features(part, sorted(zoo.shapes)) for part in samples.batches(everybody)])
    size, of_size = learn_size(spectra[sized], samples.photos[sized], numbers[sized])
    read = judge_size(size, of_size, spectra[apart], samples.photos[apart])
    shown = np.concatenate([probed(part, probes).flatten(1).numpy() for part in samples.batches(everybody)])
    traits: tuple[Trait, ...] = ()
    of_traits: dict[str, np.ndarray] = {}
    judged: Judged | None = None
    if samples.shared:
        traits, of_traits = learn_traits(shown[learned], _truth(samples, learned), people)
        judged = judge_traits(traits, of_traits, shown[apart], _truth(samples, apart))
    fewest, most = int(samples.photos[sized].min()), int(samples.photos[sized].max())
    names = [trait.name for trait in traits]
    card = ReadersCard(
        zoo.base_sha256,
        len(np.unique(people)),
        fewest,
        most,
        traits,
        size,
        _measured(len(apart), names, judged, read, size.usual),
    )
    return Readers(card, {name: value.astype(np.float16) for name, value in (tensors | of_traits | of_size).items()})


def _truth(samples: Samples, rows: Rows) -> dict[str, list[str]]:
    return {trait: [samples.traits[row][trait] for row in rows] for trait in samples.shared}


def _measured(people: int, names: list[str], judged: Judged | None, read: SizeJudged, usual: float) -> Measured:
    def shares(of: np.ndarray) -> dict[str, Interval]:
        return {name: bootstrap_mean(of[:, k].astype(float)) for k, name in enumerate(names)}

    return Measured(
        people=people,
        right={} if judged is None else shares(judged.right),
        majority={} if judged is None else shares(judged.majority),
        calibration_error=None if judged is None else error_with_interval(judged.stated, judged.right),
        size_error=bootstrap_mean(np.abs(read.read - read.truth) / np.log(2)),
        size_guess=bootstrap_mean(np.abs(usual - read.truth) / np.log(2)),
        size_covered=bootstrap_mean(read.covered),
    )
