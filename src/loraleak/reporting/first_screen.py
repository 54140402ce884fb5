"""The first screen of a report: the answer, the pictures that tell the most, how sure the answer is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loraleak.reporting.groups import best_attack
from loraleak.reporting.results import ArmResult, AuditResult, Probability, Verdict

__all__ = ["Chance", "Match", "chances_of", "evidence_in_words", "most_telling", "one_in", "sure_in_words"]

_PRIORS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


@dataclass(frozen=True)
class Chance:
    """A chance before the audit, and the chance after it."""

    before: float
    after: float


@dataclass(frozen=True)
class Match:
    """One picture of an arm, and the photo that it is most like."""

    arm: ArmResult
    picture: int
    """Index among the arm's images."""

    @property
    def photo(self) -> int:
        """Index of the photo."""
        return self.arm.nearest[self.picture]

    @property
    def cosine(self) -> float:
        return self.arm.nearest_similarity[self.picture]

    @property
    def recognised(self) -> bool | None:
        """Whether the picture was recognised as the person; None where there was nobody to compare with."""
        return self.arm.recognised[self.picture] if self.arm.recognised else None


def evidence_in_words(report: AuditResult) -> str:
    """Counts that a reader can hold: recognised pictures of the best attack, of other people, and of the base alone."""
    best = best_attack(report.arms)
    if best is None or not best.recognised:
        return ""
    count = len(best.recognised)
    rival = max(arm.best_other for arm in report.arms if arm.role == "attack")
    sentences = [
        f"In the best attempt, {_of(best.hits, count)} made by a stranger {_were(best.hits)} recognised as the person in your photos.",
        f"None of {report.others} other people was recognised in any attempt."
        if rival == 0
        else f"Of {report.others} other people, the best match reached {rival} of {count}.",
    ]
    floor = next((arm for arm in report.arms if arm.role == "floor" and arm.recognised), None)
    if floor is not None:
        sentences.append(f"Without your file, the base model reached {floor.hits} of {len(floor.recognised)}.")
    return " ".join(sentences)


def sure_in_words(verdict: Verdict) -> str:
    """The p-value as a count of audits."""
    return (
        f"If your file showed nothing of this person, {one_in(verdict.p_value)} audits would still look at least this strong."
    )


def one_in(p: float) -> str:
    """A probability as a count: `about 3 of 100`.

    >>> one_in(0.00995), one_in(0.031), one_in(0.00004)
    ('about 1 of 100', 'about 3 of 100', 'fewer than 1 of 1000')
    """
    for whole in (100, 1000):
        if round(p * whole) >= 1 and p * whole > 0.9:
            return f"about {round(p * whole)} of {whole}"
    return "fewer than 1 of 1000"


def chances_of(probability: Probability) -> tuple[Chance, ...]:
    """The chance after the audit, for several chances before it. The odds change by the same factor for all of them (Bayes)."""
    prior, posterior = probability.posteriors[len(probability.posteriors) // 2]
    factor = _odds(posterior) / _odds(prior)
    return tuple(Chance(before, 1 / (1 + 1 / (factor * _odds(before)))) for before in _PRIORS)


def most_telling(report: AuditResult, count: int) -> tuple[Match, ...]:
    """The nearest pictures of the attacks: recognised ones first, and ways and photos that were not shown yet before others."""
    left = [match for arm in report.arms if arm.role == "attack" for match in _matches(arm)]
    chosen: list[Match] = []
    while left and len(chosen) < count:
        chosen.append(min(left, key=_rank_after(chosen)))
        left.remove(chosen[-1])
    return tuple(sorted(chosen, key=lambda match: -match.cosine))


def _matches(arm: ArmResult) -> list[Match]:
    return [Match(arm, i) for i, nobody in enumerate(arm.shows_nobody) if not nobody]


def _rank_after(chosen: Sequence[Match]) -> Callable[[Match], tuple[bool, int, float]]:
    def rank(match: Match) -> tuple[bool, int, float]:
        seen = sum((match.arm.name == other.arm.name) + (match.photo == other.photo) for other in chosen)
        return not match.recognised, seen, -match.cosine

    return rank


def _odds(probability: float) -> float:
    return probability / max(1 - probability, 1e-12)


def _of(hits: int, count: int) -> str:
    return f"{hits} of {count} pictures"


def _were(hits: int) -> str:
    return "was" if hits == 1 else "were"
