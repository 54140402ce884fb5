"""A kit's card in words, fit for a terminal, and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from loraleak.kits.contents import Kit, Quality
from loraleak.readers import ReadersCard
from loraleak.types import Interval
from loraleak.untrusted import printable

__all__ = ["as_json", "as_lines", "quality_lines", "reader_lines"]

_BIOMETRIC = (
    "It holds templates of people, computed from their photos. Where these are real people, the templates are biometric data: they can "
    "tell who is on another photo. Share them only with the consent of these people. `kit build --no-templates` leaves them out."
)
_NO_TEMPLATES = "It holds no templates of people, so an audit with it has no control adapters and no other people of its own."


def as_lines(kit: Kit) -> tuple[str, ...]:
    """The card, line by line."""
    card = kit.card
    people = card.people
    lines = [
        f"kit for {card.base} ({card.family}), base {card.base_sha256[:16]}",
        f"made by loraleak {card.loraleak}; kit {kit.sha256[:16] or 'not written yet'}",
        f"embedder {card.embedder}; class prompt “{card.class_prompt}”",
        f"sampling: {kit.sampling.steps} steps, guidance {kit.sampling.guidance_scale:g}",
        f"attack: {_attack(kit)}, learned from {people.attack} people",
        f"control adapters: {0 if kit.controls is None else len(kit.controls)} of {people.controls}; other people: "
        f"{len(kit.people)} of {people.templates}",
        f"people: {card.source or 'nobody says where they come from'}",
        f"licence: {card.licence or 'none is stated'}",
        *(f"recipes: {', '.join(f'{name} {_short(value)}' for name, value in recipe.items())}" for recipe in card.recipes),
        *([] if card.quality is None else quality_lines(card.quality)),
        *([] if kit.readers is None else reader_lines(kit.readers.card)),
        _BIOMETRIC if kit.controls is not None else _NO_TEMPLATES,
    ]
    if card.quality is None:
        lines.append("nobody has measured what audits with it find")
    return tuple(printable(line, 2000) for line in lines)


def as_json(kit: Kit) -> dict[str, Any]:
    """The card, what the kit holds, and its hashes."""
    return {
        "schema": "loraleak.kit-card/1",
        "sha256": kit.sha256,
        "card": asdict(kit.card),
        "sampling": asdict(kit.sampling),
        "attack": None if kit.attack is None else {"kind": _attack(kit), "sha256": kit.attack.sha256},
        "controls": 0 if kit.controls is None else len(kit.controls),
        "templates": len(kit.people),
        "sensitivity": kit.sensitivity is not None,
        "calibration": kit.calibration is not None,
        "readers": None if kit.readers is None else asdict(kit.readers.card),
    }


def _attack(kit: Kit) -> str:
    return "none" if kit.attack is None else printable(str(kit.attack.facts.get("kind")))


def _short(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def quality_lines(quality: Quality) -> Iterator[str]:
    """What audits find, line by line."""
    yield (
        f"quality, on {quality.victims} people whom nothing in it has seen: finds {_levels(quality.found)} of their files; with the "
        f"photos of somebody else ({quality.wrong_audits} audits) {_levels(quality.false_alarms)}"
    )
    for arm, share in (quality.rank1 or {}).items():
        yield f"  {arm}: {_interval(share)} of the pictures show the right one of {quality.gallery} people"


def reader_lines(card: ReadersCard) -> Iterator[str]:
    """What the readers get right, line by line."""
    words = ", ".join(trait.name for trait in card.traits) or "no traits"
    yield f"readers of weights, learned from {card.people} people with {card.fewest} to {card.most} photos: {words}"
    measured = card.measured
    if measured is None:
        return
    for trait, share in measured.right.items():
        yield f"  {trait}: {_interval(share)} of {measured.people} people right; most usual word {_interval(measured.majority[trait])}"
    if measured.calibration_error is not None:
        yield f"  the stated confidence is wrong by {_interval(measured.calibration_error)}"
    if measured.size_error is not None and measured.size_guess is not None:
        yield (
            f"  number of photos: wrong by a factor of 2 to the {_interval(measured.size_error)}; the usual number as a guess "
            f"{_interval(measured.size_guess)}"
        )


def _levels(shares: Mapping[str, Interval]) -> str:
    return ", ".join(f"{_interval(share)} at {level}" for level, share in shares.items())


def _interval(share: Interval) -> str:
    return f"{share.mean:.2f} [{share.low:.2f}, {share.high:.2f}]"
