"""Opening an adapter: find the file and what stands beside it, and check it, without reading a weight."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters.container import Container, read_container, refuse
from loraleak.adapters.header import header_findings, tensor_findings
from loraleak.adapters.layouts import peft
from loraleak.adapters.modules import Contents, contents
from loraleak.findings import Finding, worst_first
from loraleak.untrusted import printable

__all__ = ["Opened", "is_one_adapter", "locate", "open_adapter", "open_loadable"]

_FOLDER_FILES = (peft.WEIGHTS, "pytorch_lora_weights.safetensors")
_MAX_COMPANION_BYTES = 2**20
_MAX_NUMBERS = 2**30


@dataclass(frozen=True)
class Opened:
    """A file that was checked, of which no weight has been read."""

    file: Path
    container: Container
    contents: Contents
    fields: dict[str, str]
    """The header's fields, and the text of a companion file under its name."""

    @property
    def format(self) -> str:
        """The layouts of its modules, the commonest first."""
        kinds = Counter(module.dialect.name for module in self.contents.modules.values())
        return "+".join(kind for kind, _ in kinds.most_common())

    @property
    def ranks(self) -> tuple[int, int] | None:
        """The smallest and the largest; None where there is no module."""
        shapes = [(module.rank, module.shape) for module in self.contents.modules.values()]
        ranks = [min(shape[0], math.prod(shape[1:])) if rank is None else rank for rank, shape in shapes]
        return (min(ranks), max(ranks)) if ranks else None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What its fields and the names of its tensors give away, the worst first."""
        by_header = header_findings(self.fields)
        known = {finding.field for finding in by_header}
        return worst_first(
            [*by_header, *(found for found in tensor_findings(self.contents.residue) if found.field not in known)]
        )


def open_adapter(path: str | Path) -> Opened:
    """Check a LoRA file, or the one in a PEFT or diffusers folder, without reading its weights.

    Raises: AdapterError, in one line, if the file is unusable (see `read_container`), if factors are missing, of unequal rank, of
    impossible shape or beyond rank 1024. A file without any module that we read is opened all the same.
    """
    file = locate(Path(path))
    container = read_container(file)
    held = contents(file, container)
    names = {module.dialect.companion for module in held.modules.values()}
    return Opened(file, container, held, {**container.metadata, **_companions(file, names)})


def open_loadable(path: str | Path) -> Opened:
    """As `open_adapter`, of a file whose modules can all be held in memory together; no weight is read, and torch is not needed.

    Raises: AdapterError, as `open_adapter` does, if there is no module in a layout that we read, or if the factors would fill more
    than 4 GiB.
    """
    opened = open_adapter(path)
    if not opened.contents.modules:
        tensors = opened.container.tensors
        example = printable(next(iter(tensors), "nothing"))
        refuse(
            opened.file,
            [f"none of its {len(tensors)} tensors belongs to a LoRA that we know (the first: {example})"],
            "give a LoRA; `loraleak inspect` tells what its header gives away, and `loraleak scrub` copies it without",
        )
    size = sum(module.size for module in opened.contents.modules.values())
    if size > _MAX_NUMBERS:
        refuse(
            opened.file,
            [f"its factors come to {size:,} numbers, more than {_MAX_NUMBERS:,}"],
            "give one of lower rank; `loraleak inspect` can read it",
        )
    return opened


def is_one_adapter(path: Path) -> bool:
    """Whether a path is one adapter: anything but a folder, or a PEFT or diffusers folder."""
    return not path.is_dir() or any((path / name).is_file() for name in _FOLDER_FILES)


def locate(path: Path) -> Path:
    """The file with the weights: the path itself, or the one in a PEFT or diffusers folder, or its only one. Raises: AdapterError."""
    if not path.is_dir():
        return path
    files = [path / name for name in _FOLDER_FILES if (path / name).is_file()]
    loose = list(path.glob("*.safetensors")) if not files else []
    if len(loose) == 1:
        return loose[0]
    if not files:
        refuse(path, [f"the folder holds no {' or '.join(_FOLDER_FILES)}"], "give the .safetensors file itself")
    return files[0]


def _companions(file: Path, names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in filter(None, names):
        companion = file.with_name(name)
        if not companion.is_file():
            continue
        if companion.stat().st_size > _MAX_COMPANION_BYTES:
            refuse(companion, [f"it is larger than {_MAX_COMPANION_BYTES >> 20} MiB"], "export the adapter again")
        try:
            found[name] = companion.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            refuse(companion, ["it is no readable UTF-8 text"], "export the adapter again, or remove that file")
    return found
