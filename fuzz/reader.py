"""What is fuzzed: a file's bytes through scrubber, inspector, reader and writers. Anything but a refusal in one line is a crash."""

import io
import json
import tempfile
from pathlib import Path

from rich.console import Console

from loraleak.adapters import load_adapter, open_adapter, save_adapter, scrub_header
from loraleak.adapters.container import read_container
from loraleak.adapters.write import LAYOUTS
from loraleak.errors import AdapterError, LoraleakError
from loraleak.inspection import Inspection, inspect_adapter
from loraleak.inspection.as_json import as_json
from loraleak.inspection.as_sarif import as_sarif
from loraleak.inspection.as_text import as_text

__all__ = ["try_file"]

_FEW = 2**22
"""Numbers of factors that are loaded: up to 2^30 may be, which are too many to fuzz with."""
_REPLACED = {"modelspec.title": "mine"}


def try_file(data: bytes, folder: Path | None = None) -> bool:
    """Whether the bytes are a usable LoRA.

    Raises: AssertionError, if a refusal or an output is not fit to be printed; whatever the reader lets through that it should not.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(dir=_memory()) as temporary:
            return try_file(data, Path(temporary))
    file = folder / "lora.safetensors"
    file.write_bytes(data)
    _try_scrub(file, folder / "clean.safetensors")
    try:
        inspection = inspect_adapter(file)
        _try_outputs(inspection, file)
        if sum(module.size for module in open_adapter(file).contents.modules.values()) > _FEW:
            return True
        adapter = load_adapter(file)
    except AdapterError as error:
        assert str(error).isprintable() and len(str(error)) < 2000, error
        return False
    assert len(adapter.factors) >= len(inspection.modules)
    for layout in LAYOUTS:
        try:
            save_adapter(adapter, folder / layout, layout)
        except AdapterError as error:
            assert str(error).isprintable(), error
            continue
        assert set(load_adapter(folder / layout).factors) == set(adapter.factors)
    return True


def _try_scrub(file: Path, out: Path) -> None:
    """Whatever the tensors are: a copy with the same ones, or a refusal of a file that is no sound container."""
    for replaced in ({}, _REPLACED):
        try:
            scrub_header(file, out, replaced=replaced)
        except LoraleakError as error:
            assert str(error).isprintable() and len(str(error)) < 2000, error
            return
        before, after = read_container(file).tensors, read_container(out)
        assert after.tensors.keys() == before.keys() and all(after.tensors.raw(name) == before.raw(name) for name in before)
        assert replaced.items() <= after.metadata.items()


def _try_outputs(inspection: Inspection, file: Path) -> None:
    assert json.dumps(as_json(inspection), allow_nan=False).isprintable()
    assert json.dumps(as_sarif([(inspection, file)]), allow_nan=False).isprintable()
    stream = io.StringIO()
    Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=True).print(as_text(inspection))
    assert all(c.isprintable() or c == "\n" for c in stream.getvalue())


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
