"""What benches can be told; light to import, so that the command line starts fast."""

from dataclasses import dataclass

from loraleak.errors import UsageError

__all__ = ["ProbeSettings"]


@dataclass(frozen=True)
class ProbeSettings:
    """How many public people are learned from, and how many others are judged."""

    learned_from: tuple[int, ...] = (100, 200, 400, 800, 1_200)
    unseen: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.learned_from or min(self.learned_from) < 10 or self.unseen < 10:
            raise UsageError("give at least 10 people to learn from, and 10 who are not seen")
