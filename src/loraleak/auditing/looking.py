"""Audits that stop as soon as their level is certain: the order of the arms, and the looks between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loraleak.arms import Arm
from loraleak.auditing.levels import HIGH
from loraleak.auditing.nulls.looks import Looks
from loraleak.auditing.scoring import embed_pictures
from loraleak.embedders import Embedder
from loraleak.types import Images, Sightings

__all__ = ["Stopped", "deciding_first"]

_TELLING = (
    "lora-z",
    "lora-z-key",
    "lora-universal-z",
    "lora-z-guidance",
    "base-z",
    "lora-guidance",
    "lora-class",
    "lora-empty",
)
"""Attacks in the order of what they tell a second: how often one alone finds the person on pocket, by its passes."""


@dataclass
class Stopped:
    """The looks of one audit, and whether it stopped."""

    looks: Looks
    embedder: Embedder
    attacks: Sequence[str]
    floor: str
    tests: int
    """Tests that the verdict corrects for."""
    stopped: bool = False
    _seen: dict[str, Sightings] = field(default_factory=dict)

    def enough(self, made: Mapping[str, Images]) -> bool:
        """Whether the level is `high` whatever the other arms show. `made` are pictures that were not looked at yet."""
        self._seen |= {name: embed_pictures(self.embedder, pictures) for name, pictures in made.items()}
        attacks = [name for name in self.attacks if name in self._seen]
        if attacks and self.floor in self._seen and any(name in attacks for name in made):
            self.stopped = self.tests * self.looks.look(self._seen, attacks=attacks, floor=self.floor) <= HIGH
        return self.stopped

    @property
    def p_value(self) -> float:
        """p of the test among other people."""
        return self.looks.p_value


def deciding_first(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The floor, the attacks in the order of what they tell a second, then arms that do not enter the verdict."""

    def rank(arm: Arm) -> tuple[int, int]:
        usual = arm.name.removesuffix("-turned")
        telling = _TELLING.index(usual) if usual in _TELLING else len(_TELLING)
        return {"floor": 0, "attack": 1}.get(arm.role, 2), telling

    return tuple(sorted(arms, key=rank))
