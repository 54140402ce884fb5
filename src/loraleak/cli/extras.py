"""Checks that an optional extra is installed, with one line that says how to get it."""

from collections.abc import Iterator
from contextlib import contextmanager

from loraleak.errors import MissingExtraError

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(extra: str, *packages: str, why: str) -> Iterator[None]:
    """Context in which a missing package of these is a fault of the installation.

    Raises: MissingExtraError, with `why` and the command that mends it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise MissingExtraError(f"{why}: run pip install 'loraleak[{extra}]'") from error
