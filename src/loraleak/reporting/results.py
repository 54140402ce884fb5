"""The results of one audit, as plain data. `html`, `markdown` and `as_json` write them."""

from dataclasses import dataclass
from typing import Any, Literal

from loraleak.defences import Trial
from loraleak.types import Adversary, ArmRole, Finding, Images, Interval, Picture

__all__ = [
    "LEAK_KEPT",
    "LEVELS",
    "USE_KEPT",
    "Answer",
    "ArmResult",
    "AuditResult",
    "Bystander",
    "DefenceResult",
    "DefenceStudy",
    "Level",
    "NullTest",
    "Photo",
    "PhotoAnswer",
    "PositiveControl",
    "Probability",
    "Reading",
    "Side",
    "Verdict",
]

Level = Literal["low", "undecided", "review", "high"]
"""Level of a verdict. `low` claims that the audit could have found something; where it could not, the level is `undecided`."""
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
class Bystander:
    """Somebody else on the owner's photos. The verdict is not about them."""

    photos: tuple[str, ...]
    """Files below the photo folder that show the bystander."""
    exposure: float
    """The highest raw cosine between the bystander and any reconstruction of an attack arm."""
    p_value: float
    """The p-value of the test against other people, made for the bystander alone."""
    picture: Picture
    """The first of the photos that show the bystander."""


@dataclass(frozen=True)
class ArmResult:
    """The pictures of one arm, and how much they look like the photos."""

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
    """Index of the photo that is most like each image."""
    nearest_similarity: tuple[float, ...]
    shows_nobody: tuple[bool, ...]
    """Whether the embedder found nobody on each image; such an image has a cosine of 0 with everybody."""
    adversary: Adversary = "file"
    """Who could use the arm."""
    recognised: tuple[bool, ...] = ()
    """Whether each image is nearer to the person than to all other people; empty where there were none to compare with."""
    best_other: int = 0
    """The greatest number of images that are nearest to one and the same other person."""

    @property
    def hits(self) -> int:
        """Number of images that are recognised as the person."""
        return sum(self.recognised)

    @property
    def empty(self) -> int:
        """Number of images that show nobody."""
        return sum(self.shows_nobody)


@dataclass(frozen=True)
class NullTest:
    """One test of "this adapter shows nothing of the person in these photos"."""

    name: Literal["control-adapters", "other-people"]
    says: str
    """The null that the p-value compares with, in words."""
    p_value: float
    smallest_p: float
    """The smallest p-value that this test can give."""
    reasons: tuple[str, ...]
    statistic: float
    """Greatest value over the attacks, in standard deviations."""


@dataclass(frozen=True)
class PhotoAnswer:
    """What a leak says about one photo."""

    path: str
    score: float
    """Greater is more like a photo that was trained on."""
    p_value: float
    """The p-value for this photo alone, which is not corrected for the number of photos."""
    says: str
    """The same in plain words, without the photo's name."""


@dataclass(frozen=True)
class Reading:
    """One word about the person."""

    trait: str
    value: str
    confidence: float
    """How sure the reader is, from 0 to 1."""
    usual: float
    """Share of people who have this value."""
    right: float | None
    """Share of people kept apart whose value of this trait was read rightly; None where nobody measured it."""
    sensitive: bool
    """Whether it is shown only because a stranger could read it too."""


@dataclass(frozen=True)
class Answer:
    """The answer to one question of what else a file tells."""

    name: str
    question: str
    says: str
    """The answer in plain words, or why there is none."""
    null: str = ""
    """What the answer is compared with; empty where there is none."""
    p_value: float | None = None
    """None where the question was not tested."""
    photos: tuple[PhotoAnswer, ...] = ()
    readings: tuple[Reading, ...] = ()
    """Words about the person, for the question that asks for them."""


@dataclass(frozen=True)
class PositiveControl:
    """A check that this audit can find something at all."""

    name: Literal["photos", "prompt", "known-leaks"]
    passed: bool
    says: str
    remedy: str = ""
    """What the failure means, and what to do; empty for a control that passed."""


@dataclass(frozen=True)
class Probability:
    """Posteriors that a file gives the person away, for priors from which a reader chooses."""

    posteriors: tuple[tuple[float, float], ...]
    """Pairs of prior and posterior."""
    error: float
    """Expected calibration error on files that the calibration has not seen."""


@dataclass(frozen=True)
class Verdict:
    """The evidence that an adapter shows the person in the photos."""

    level: Level
    p_value: float
    """The smallest p-value of the tests, times their number (Bonferroni)."""
    reasons: tuple[str, ...]
    null: str
    """The nulls that the p-values compare with, in words."""
    tests: tuple[NullTest, ...]
    """Tests that were made, the gravest result first."""
    positive_controls: tuple[PositiveControl, ...] = ()
    probability: Probability | None = None
    """Posteriors, where the way of auditing is calibrated; else None."""
    missing: str = ""
    """The lack that left the audit undecided, and how to mend it; empty for every other level."""

    def reaches(self, gate: Literal["low", "review", "high", "never"]) -> bool:
        """Whether the level is at or above a gate; an undecided verdict counts as `review`."""
        rank = {"low": 0, "undecided": 1, "review": 1, "high": 2, "never": 3}
        return rank[self.level] >= rank[gate]

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that the verdict could have had."""
        return min(1.0, len(self.tests) * min(test.smallest_p for test in self.tests))


USE_KEPT = 0.8
"""Share of the use that a recommended defence must keep."""

LEAK_KEPT = 0.5
"""Share of the leak that a recommended defence may leave. A defence that leaves more would only reassure."""


@dataclass(frozen=True)
class Side:
    """Pictures of a stranger, or of the owner's prompt, and how near they come to the photos."""

    arm: str
    """Arm that made them. A stranger's is the attack that comes nearest."""
    images: Images
    excess: Interval
    """Mean cosine to the photos, less that of the base's pictures from the same noise."""
    change: Interval
    """Difference to the undefended adapter's pictures, paired by noise; zero for the undefended adapter itself."""


@dataclass(frozen=True)
class DefenceResult:
    """One defence, with its settings, on this adapter."""

    defence: str
    """Spelling that `parse_defence` reads; empty for the undefended adapter."""
    name: str
    says: str
    leak: Side
    use: Side | None
    """The owner's side; None where the owner's prompt is not known."""
    leak_kept: float | None
    """Excess of the leak as a share of the undefended adapter's; None where that is not above zero."""
    use_kept: float | None
    """Excess of the use as a share of the undefended adapter's; None where that is not above zero."""
    needs_base: bool = False
    trial: Trial | None = None
    """Trial on other people, against an attack that was trained against the defence; None for the undefended adapter."""

    @property
    def seen_through(self) -> bool:
        """Whether a better stranger is known to see more than the attacks of the study show."""
        return self.trial in ("fell", "undone")

    @property
    def worth_its_price(self) -> bool:
        """Whether the defence leaves at most `LEAK_KEPT` of the leak, beyond chance, and keeps `USE_KEPT` of the use.

        The leak is what the attacks of the study show.
        """
        leak, use = self.leak_kept, self.use_kept
        return leak is not None and use is not None and leak <= LEAK_KEPT and self.leak.change.high < 0 and use >= USE_KEPT


@dataclass(frozen=True)
class DefenceStudy:
    """Study of the undefended adapter and of every defence that was tried."""

    attacks: tuple[str, ...]
    """Attacks that were sampled for every setting, because a stranger takes what works."""
    over: str
    """The floor above which excess is measured."""
    undefended: DefenceResult
    tried: tuple[DefenceResult, ...]
    recommended: int | None
    """Index of the recommended one in `tried`; None where none is worth its price."""


@dataclass(frozen=True)
class AuditResult:
    """Everything that an audit found. Pictures are RGB arrays; paths and metadata are untrusted text."""

    created: str
    """Time in UTC, as ISO 8601 that ends in Z."""
    version: str
    seed: int
    base: str
    base_sha256: str
    adapter_path: str
    adapter_sha256: str
    adapter_format: str
    ranks: tuple[int, int]
    modules: int
    strength: float
    """Factor of the file's stated strength at which the attacks ran it; 1 where that is ordinary."""
    photos: tuple[Photo, ...]
    verdict: Verdict
    arms: tuple[ArmResult, ...]
    metadata: tuple[Finding, ...]
    knowledge: tuple[str, ...]
    """Knowledge of the adversary, one sentence each."""
    advice: tuple[str, ...]
    limits: tuple[str, ...]
    settings: dict[str, Any]
    """Settings of the command, all resolved, so that it can be repeated."""
    timings_s: dict[str, float]
    others: int = 0
    """Number of other people among whom the person was looked for."""
    bystanders: tuple[Bystander, ...] = ()
    """Other people on the photos, by falling number of photos."""
    answers: tuple[Answer, ...] = ()
    """What else the file tells."""
    defences: DefenceStudy | None = None
    """Effects of post-hoc defences on this adapter; None where they were not asked for."""
