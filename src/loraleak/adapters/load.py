"""Reading an adapter: find the file, and hold all its modules in memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loraleak.adapters.container import Container, read_container, refuse
from loraleak.adapters.layouts import peft
from loraleak.adapters.modules import Contents, contents, read_modules
from loraleak.types import Adapter
from loraleak.untrusted import printable

__all__ = ["Opened", "load_adapter", "locate", "open_adapter"]

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


def open_adapter(path: str | Path) -> Opened:
    """Check a LoRA file, or the one in a PEFT or diffusers folder, without reading its weights.

    Raises: AdapterError, in one line, if the file is unusable (see `read_container`), if factors are missing, of unequal rank, of
    impossible shape or beyond rank 1024, or if there is no module in a layout that we read.
    """
    file = locate(Path(path))
    container = read_container(file)
    held = contents(file, container)
    names = {module.dialect.companion for module in held.modules.values()}
    return Opened(file, container, held, {**container.metadata, **_companions(file, names)})


def load_adapter(path: str | Path) -> Adapter:
    """Read a LoRA from a .safetensors file, or from a PEFT or diffusers folder.

    Factors come as contiguous float32; LoHa, LoKr and Tucker modules are reduced, exactly, to a pair. A scale that the file does not
    tell is None. What was not understood is listed in `residue`.
    Raises: AdapterError, in one line, as `open_adapter` does, and if weights are not finite or would fill more than 4 GiB.

    >>> from loraleak.assets import DEMO
    >>> adapter = load_adapter(DEMO / "adapter.safetensors")
    >>> adapter.format, adapter.ranks, len(adapter.factors)
    ('diffusers', (8, 8), 56)
    """
    opened = open_adapter(path)
    size = sum(module.size for module in opened.contents.modules.values())
    if size > _MAX_NUMBERS:
        refuse(
            opened.file,
            [f"its factors come to {size:,} numbers, more than {_MAX_NUMBERS:,}"],
            "give one of lower rank; `loraleak inspect` can read it",
        )
    updates = list(read_modules(opened.file, opened.container, opened.contents, opened.fields))
    return Adapter(
        factors={update.name: update.factors for update in sorted(updates, key=lambda update: update.name)},
        format=opened.format,
        metadata=opened.fields,
        sha256=opened.container.sha256,
        residue=tuple(printable(name, 300) for name in opened.contents.residue),
        magnitudes={update.name: update.magnitude for update in updates if update.magnitude is not None},
    )


def locate(path: Path) -> Path:
    """The file with the weights: the path itself, or the one in a PEFT or diffusers folder. Raises: AdapterError."""
    if not path.is_dir():
        return path
    files = [path / name for name in _FOLDER_FILES if (path / name).is_file()]
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
