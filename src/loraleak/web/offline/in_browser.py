"""What Python does in the browser: tell what a file's header says, and make the header of a clean copy. There is no numpy here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters.clean_copy import Fingerprint, check_copy, clean_start, fingerprints, remarks
from loraleak.adapters.container import read_container
from loraleak.adapters.opening import open_adapter
from loraleak.adapters.public import public_metadata
from loraleak.errors import LoraleakError
from loraleak.web.inspected import Told, cleaned, fault, inspected, one_line

__all__ = ["Copy", "Seen", "look", "make_copy"]


@dataclass(frozen=True)
class Seen:
    """What the page shows of a file."""

    html: str
    readable: bool


@dataclass(frozen=True)
class Copy:
    """A clean copy: `start`, then the file from `rest` on."""

    start: bytes
    rest: int
    says: str
    file: Path
    prints: Mapping[str, Fingerprint]

    def check(self, copy: str) -> None:
        """Raises: AdapterError, if the copy does not hold the tensors of the file bit by bit."""
        check_copy(self.file, self.prints, Path(copy))


def look(file: str) -> Seen:
    """What the header of a file tells, or one line on why it cannot be used."""
    try:
        opened = open_adapter(file)
    except LoraleakError as error:
        return Seen(fault(one_line(error)), readable=False)
    layers = sum(len(module.layer.targets) for module in opened.contents.modules.values())
    told = Told(opened.format, opened.contents.families, opened.ranks, layers, opened.findings)
    return Seen(inspected(told), readable=True)


def make_copy(file: str) -> Copy:
    """The clean copy of a file that `look` could read, as `loraleak scrub` makes it."""
    path = Path(file)
    held = read_container(path)
    kept, removed = public_metadata(held.metadata)
    start, rest = clean_start(path, kept)
    prints = fingerprints(held)
    return Copy(start, rest, cleaned(len(removed), len(kept), remarks(prints, path, folder=False)), path, prints)
