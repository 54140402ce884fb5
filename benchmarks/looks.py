"""Audits that stop when their level is certain, beside audits of all arms: error rates, and passes of the denoiser.

    python benchmarks/sampling.py work --samplers 2M --steps 6     # makes the pictures
    python benchmarks/looks.py work --steps 6

Every victim's adapter is audited with the victim's photos and with those of each other victim. Intervals are over victims. Passes are
those of one picture and step, without what arms share at the first step.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sampling import FLOOR, Made, among, victims_of

from loraleak.auditing import OtherPeople
from loraleak.auditing.nulls.looks import Looks
from loraleak.reporting.words import in_brackets
from loraleak.scores import bootstrap_mean
from loraleak.types import Embeddings, Sightings

_PASSES = {"lora-z": 2, "lora-z-key": 3, "lora-universal-z": 2, "lora-guidance": 2, "lora-class": 2}
"""Attacks in the order in which an audit tries them, with the passes of each."""
_FLOOR_PASSES = 2
_LEVELS = (0.05, 0.01)


@dataclass(frozen=True)
class Audited:
    """One audit: p if all arms are sampled, p with looks, attacks and passes until it stopped."""

    whole: float
    looked: float
    attacks: int
    passes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of benchmarks/sampling.py")
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--pictures", type=int, nargs="+", default=[2, 4, 8])
    arguments = parser.parse_args()
    victims = victims_of(arguments.folder, arguments.victims)
    made = victims.made("2M", arguments.steps)
    print("| pictures | photos of | level | all arms | with looks | stopped early | after one attack | passes of all |")
    print("|---|---|---|---|---|---|---|---|")
    everything = _FLOOR_PASSES + sum(_PASSES.values())
    for pictures in arguments.pictures:
        right = [[_audited(m, p, victims.others, pictures)] for m, p in zip(made, victims.photos, strict=True)]
        wrong = [
            [_audited(mine, photos, victims.others, pictures) for j, photos in enumerate(victims.photos) if j != i]
            for i, mine in enumerate(made)
        ]
        for whose, audits in (("the person", right), ("somebody else", wrong)):
            for level in _LEVELS:
                cells = [
                    _mean([[a.whole <= level for a in mine] for mine in audits]),
                    _mean([[a.looked <= level for a in mine] for mine in audits]),
                    _mean([[a.passes < everything for a in mine] for mine in audits]),
                    _mean([[a.attacks == 1 for a in mine] for mine in audits]),
                    _mean([[a.passes / everything for a in mine] for mine in audits]),
                ]
                print(f"| {pictures} | {whose} | p <= {level} | {' | '.join(cells)} |", flush=True)


def _audited(made: Made, photos: Embeddings, others: OtherPeople, pictures: int) -> Audited:
    looks, attacks, passes = Looks(photos, others), [], _FLOOR_PASSES
    shown = {name: Sightings.one_each(vectors[:pictures]) for name, vectors in made.items()}
    for name, cost in _PASSES.items():
        attacks.append(name)
        passes += cost
        if looks.look(shown, attacks=attacks, floor=FLOOR) <= min(_LEVELS):
            break
    return Audited(among(made, photos, others, pictures, tuple(_PASSES)), looks.p_value, len(attacks), passes)


def _mean(values: Sequence[Sequence[float]]) -> str:
    return in_brackets(bootstrap_mean(np.array([np.mean(mine) for mine in values])))


if __name__ == "__main__":
    main()
