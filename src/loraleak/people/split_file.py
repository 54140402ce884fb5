"""A split of the people of a folder, in a file. Nobody is in two parts of it, whoever wrote it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loraleak.errors import UsageError
from loraleak.files import write_json
from loraleak.people.identities import Identity
from loraleak.untrusted import printable

__all__ = ["PeopleSplit", "in_part", "read_split", "split_people", "write_split"]

_SCHEMA = "loraleak.split/1"


@dataclass(frozen=True)
class PeopleSplit:
    """Parts by name, each with the names of its people. Raises: UsageError, if somebody is in two parts."""

    parts: Mapping[str, tuple[str, ...]]
    doubles: tuple[tuple[str, ...], ...] = field(default=())
    """Groups of folders that show the same person. All folders of a group are in one part."""

    def __post_init__(self) -> None:
        home: dict[str, str] = {}
        for part, names in self.parts.items():
            for name in names:
                if home.setdefault(name, part) != part:
                    raise UsageError(f"{name} is in two parts of a split, {home[name]} and {part}: remove one of them")
        for group in self.doubles:
            several = {home[name] for name in group if name in home}
            if len(several) > 1:
                raise UsageError(
                    f"{', '.join(group)} show the same person and are in different parts of a split, {', '.join(sorted(several))}"
                )


def split_people(
    names: Iterable[str], sizes: Mapping[str, int], rest: str, *, seed: int, doubles: Sequence[Sequence[str]] = ()
) -> PeopleSplit:
    """Fill each part with as many people as `sizes` says, and `rest` with all others. A name's hash with the seed decides.

    Folders that show the same person go into one part together, so a part can hold more than asked for.
    Raises: UsageError, if there are too few people.
    """
    grouped = {name: tuple(group) for group in doubles for name in group}
    everybody = {grouped.get(name, (name,)) for name in names}
    units = sorted(everybody, key=lambda unit: hashlib.sha256(f"{seed}/{unit[0]}".encode()).digest())
    wanted = sum(sizes.values())
    if len(units) <= wanted:
        asked = ", ".join(f"{count} for {part}" for part, count in sizes.items())
        raise UsageError(f"there are {len(units)} people, and {asked} leave nobody for {rest}: add people, or ask for fewer")
    parts: dict[str, tuple[str, ...]] = {}
    for part, count in sizes.items():
        taken, units = units[:count], units[count:]
        parts[part] = tuple(sorted(name for unit in taken for name in unit))
    parts[rest] = tuple(sorted(name for unit in units for name in unit))
    return PeopleSplit(parts, tuple(tuple(group) for group in doubles))


def write_split(split: PeopleSplit, file: Path) -> None:
    """Write the split as JSON."""
    parts = {part: list(names) for part, names in split.parts.items()}
    write_json(file, {"schema": _SCHEMA, "parts": parts, "doubles": [list(group) for group in split.doubles]})


def read_split(file: Path) -> PeopleSplit:
    """Read a split. Raises: UsageError, if the file holds none, or somebody is in two parts of it."""
    try:
        held = json.loads(file.read_text("utf-8"))
        if held["schema"] != _SCHEMA:
            raise ValueError
        return PeopleSplit(
            {str(part): tuple(map(str, names)) for part, names in held["parts"].items()},
            tuple(tuple(map(str, group)) for group in held["doubles"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"it holds no split of people ({type(error).__name__})"
        raise UsageError(fault, path=file, remedy="delete it, and run the command again") from error


def in_part(people: Sequence[Identity], split: PeopleSplit, part: str) -> list[Identity]:
    """Those of the people who are in this part of a split.

    Raises: UsageError, if there is no such part, or if one of its people is not among these.
    """
    if part not in split.parts:
        raise UsageError(f"the split has no part {part!r}: give one of {', '.join(sorted(split.parts))}")
    wanted = set(split.parts[part])
    found = [person for person in people if person.name in wanted]
    if lacking := sorted(wanted - {person.name for person in found}):
        named = printable(", ".join(lacking[:5]), 300)
        raise UsageError(
            f"{named}: in the part {part} of the split, and not among the folders: give the people that were split"
        )
    return found
