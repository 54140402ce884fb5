"""What one audit found, as plain data. `html`, `markdown` and `as_json` write it."""

from dataclasses import dataclass
from typing import Any, Literal

from loraleak.defences import Trial
from loraleak.types import ArmRole, Finding, Images, Interval, Picture

__all__ = [
    "LEAK_KEPT",
    "LEVELS",
    "USE_KEPT",
    "ArmResult",
    "AuditResult",
    "DefenceResult",
    "DefenceStudy",
    "Level",
    "NullTest",
    "Photo",
    "Side",
    "Verdict",
]

Level = Literal["low", "undecided", "review", "high"]
"""`low` claims that the audit would have found something; where it could not have, it is `undecided`."""
LEVELS: tuple[Level, ...] = ("low", "undecided", "review", "high")


@dataclass(frozen=True)
class Photo:
    """One private image and how near the attacks came to it."""

    path: str
    """The file's name below the photo folder."""
    sha256: str
    exposure: float
    """The highest raw cosine between this photo and any reconstruction of an attack arm."""
    picture: Picture


@dataclass(frozen=True)
class ArmResult:
    """What one arm made, and how much it looks like the photos."""

    name: str
    role: ArmRole
    says: str
    """One plain sentence: who could do this, and with what."""
    images: Images
    similarity: Interval
    """Mean raw cosine to the photos."""
    excess: Interval | None
    """Paired difference to the arm named `over`; None for the floor."""
    over: str | None
    nearest: tuple[int, ...]
    """For each image, the index of the photo most like it."""
    nearest_similarity: tuple[float, ...]


@dataclass(frozen=True)
class NullTest:
    """One test of "this adapter shows nothing of the person in these photos"."""

    name: Literal["control-adapters", "other-people"]
    says: str
    """What the p-value compares with, in words."""
    p_value: float
    smallest_p: float
    """The least p-value that this test can give."""
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class PositiveControl:
    """A check that this audit can find something at all."""

    name: Literal["photos", "prompt"]
    passed: bool
    says: str


@dataclass(frozen=True)
class Verdict:
    """The evidence that an adapter shows the person in the photos."""

    level: Level
    p_value: float
    """The least of the tests', times their number (Bonferroni)."""
    reasons: tuple[str, ...]
    null: str
    """What the p-values compare with, in words."""
    tests: tuple[NullTest, ...]
    """The gravest first."""
    positive_controls: tuple[PositiveControl, ...] = ()
    missing: str = ""
    """What an undecided audit lacks, and how to mend it; empty for every other level."""

    def reaches(self, gate: Literal["low", "review", "high", "never"]) -> bool:
        """Whether the level is at or above a gate; an undecided verdict counts as `review`."""
        rank = {"low": 0, "undecided": 1, "review": 1, "high": 2, "never": 3}
        return rank[self.level] >= rank[gate]

    @property
    def smallest_p(self) -> float:
        """The least p-value that the verdict could have had."""
        return min(1.0, len(self.tests) * min(test.smallest_p for test in self.tests))


USE_KEPT = 0.8
"""Share of the use that a recommended defence must keep."""

LEAK_KEPT = 0.5
"""Share of the leak that a recommended defence may leave: one that leaves more would only reassure."""


@dataclass(frozen=True)
class Side:
    """How near pictures come to the photos: those of a stranger, or those of the owner's prompt."""

    arm: str
    """Of a stranger's: the attack that comes nearest."""
    images: Images
    excess: Interval
    """Mean cosine to the photos, less that of the base's pictures from the same noise."""
    change: Interval
    """Paired difference, from the same noise, to the undefended adapter's; zero for that itself."""


@dataclass(frozen=True)
class DefenceResult:
    """One defence, with its settings, on this adapter."""

    defence: str
    """As `parse_defence` reads it; empty for the adapter as it is."""
    name: str
    says: str
    leak: Side
    use: Side | None
    """None where the owner's prompt is not known."""
    leak_kept: float | None
    """The leak's excess in units of the undefended adapter's; None where that is not above zero."""
    use_kept: float | None
    """The use's excess in units of the undefended adapter's; None where that is not above zero."""
    needs_base: bool = False
    trial: Trial | None = None
    """Against an attack trained against it, on other people; None for the adapter as it is."""

    @property
    def worth_its_price(self) -> bool:
        """By the attacks of the study: leaves `LEAK_KEPT` of the leak at most, beyond chance, and keeps `USE_KEPT` of the use."""
        leak, use = self.leak_kept, self.use_kept
        return leak is not None and use is not None and leak <= LEAK_KEPT and self.leak.change.high < 0 and use >= USE_KEPT


@dataclass(frozen=True)
class DefenceStudy:
    """All that was tried, the adapter as it is first."""

    attacks: tuple[str, ...]
    """Those that were sampled for every setting: a stranger takes what works."""
    over: str
    """The floor that excess is taken over."""
    undefended: DefenceResult
    tried: tuple[DefenceResult, ...]
    recommended: int | None
    """Which of `tried`; None where none is worth its price."""


@dataclass(frozen=True)
class AuditResult:
    """Everything that an audit found. Pictures are RGB arrays; paths and metadata are untrusted text."""

    created: str
    """UTC, ISO 8601, ending in Z."""
    version: str
    seed: int
    base: str
    base_sha256: str
    adapter_path: str
    adapter_sha256: str
    adapter_format: str
    ranks: tuple[int, int]
    modules: int
    photos: tuple[Photo, ...]
    verdict: Verdict
    arms: tuple[ArmResult, ...]
    metadata: tuple[Finding, ...]
    knowledge: tuple[str, ...]
    """What the adversary had, one sentence each."""
    advice: tuple[str, ...]
    limits: tuple[str, ...]
    settings: dict[str, Any]
    """The resolved command, for whoever repeats it."""
    timings_s: dict[str, float]
    defences: DefenceStudy | None = None
    """What post-hoc defences do to this adapter; None where that was not asked for."""
