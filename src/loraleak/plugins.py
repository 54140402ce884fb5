"""Additions of third parties: entry points of installed packages, one group for each protocol."""

from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Any, Literal

from loraleak.errors import UsageError

__all__ = ["Group", "third_party"]

Group = Literal[
    "loraleak.arms", "loraleak.defences", "loraleak.embedders", "loraleak.encoders", "loraleak.families", "loraleak.leaks"
]


def third_party(group: Group, known: Collection[str] = ()) -> dict[str, Any]:
    """Entry points of a group, by name. A name that is `known` stays ours.

    Raises: UsageError, if a package cannot be loaded.
    """
    found: dict[str, Any] = {}
    for entry in entry_points(group=group):
        if entry.name in known:
            continue
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            raise UsageError(
                f"{entry.name} of the group {group} cannot be loaded from {entry.value} ({type(error).__name__}: {error}): "
                "mend or uninstall the package that brings it"
            ) from error
    return found
