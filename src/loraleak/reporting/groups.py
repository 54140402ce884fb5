"""What was tried, in four groups: who could do it, and how far the best way of each group came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loraleak.reporting.results import ArmResult
from loraleak.types import Adversary, ArmRole

__all__ = ["ArmGroup", "best_attack", "farthest_first", "groups_of"]


@dataclass(frozen=True)
class ArmGroup:
    """The arms that one kind of person could use."""

    adversary: Adversary
    title: str
    says: str
    arms: tuple[ArmResult, ...]
    """The arm that comes farthest is the first."""
    role: ArmRole
    missing: str
    """The reason why no arm is in the group; empty where there is one."""


_TITLES: Mapping[Adversary, tuple[str, str, str]] = {
    "file": (
        "Anyone with your file",
        "They load your file and type something ordinary, or nothing. They do not know your trigger word.",
        "This audit did not try it.",
    ),
    "base": (
        "Someone who has the base model too",
        "They compare your file with the public base model, and follow the difference.",
        "This audit did not try it.",
    ),
    "studied": (
        "Someone who studied many LoRAs",
        "They trained a program on LoRAs of other people. The program reads the person out of the numbers in your file.",
        "This audit did not try it: it needs an attack that was trained for this base. Such attacks may find more.",
    ),
    "owner": (
        "You, with your prompt",
        "This is what the file can do for you. A stranger does not have your prompt.",
        "This audit did not try it: it needs your own prompt (--prompt).",
    ),
}


def groups_of(arms: Sequence[ArmResult]) -> tuple[ArmGroup, ...]:
    """The four groups. Floors and controls are in none of them."""
    groups = []
    for adversary, (title, says, missing) in _TITLES.items():
        role: ArmRole = "ceiling" if adversary == "owner" else "attack"
        members = farthest_first([arm for arm in arms if _belongs(arm, adversary)])
        groups.append(ArmGroup(adversary, title, says, members, role, "" if members else missing))
    return tuple(groups)


def best_attack(arms: Sequence[ArmResult]) -> ArmResult | None:
    """The attack that comes farthest; None where no attack was sampled."""
    return next(iter(farthest_first([arm for arm in arms if arm.role == "attack"])), None)


def farthest_first(arms: Sequence[ArmResult]) -> tuple[ArmResult, ...]:
    """Arms by falling number of recognised pictures, and by falling cosine among equals."""
    return tuple(sorted(arms, key=lambda arm: (-arm.hits, -arm.similarity.mean)))


def _belongs(arm: ArmResult, adversary: Adversary) -> bool:
    if arm.role == "ceiling":
        return adversary == "owner"
    return arm.role == "attack" and arm.adversary == adversary
