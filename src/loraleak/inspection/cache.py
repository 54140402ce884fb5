"""Inspections that were made before, by the SHA-256 of what was read."""

import hashlib
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from loraleak.adapters import open_adapter
from loraleak.adapters.opening import Opened
from loraleak.files import write_bytes
from loraleak.findings import Finding
from loraleak.inspection.inspect import Inspection, ModuleFacts, inspect_adapter, inspect_opened
from loraleak.untrusted import printable
from loraleak.version import __version__

__all__ = ["inspect_cached"]


def inspect_cached(path: str | Path, cache: Path | None) -> Inspection:
    """As `inspect_adapter`, from the cache if the same bytes were inspected before by this version; the cache is a folder.

    Raises: AdapterError, as `inspect_adapter` does; OSError, if the cache cannot be written.
    """
    if cache is None:
        return inspect_adapter(path)
    opened = open_adapter(path)
    file = cache / f"{_key(opened)}.json"
    found = _read(file)
    if found is None:
        found = inspect_opened(opened, path)
        write_bytes(file, json.dumps(asdict(found), allow_nan=False).encode())
    return replace(found, path=printable(str(path), 400))


def _key(opened: Opened) -> str:
    """SHA-256 over the file's own, what stands beside it, and our version."""
    beside = {name: value for name, value in opened.fields.items() if name not in opened.container.metadata}
    text = json.dumps([opened.container.sha256, sorted(beside.items()), __version__])
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path) -> Inspection | None:
    """The inspection in a file of the cache; None where there is none, or where it is broken."""
    try:
        plain = json.loads(file.read_text("utf-8"))
        modules = tuple(ModuleFacts(**_tuples(module)) for module in plain.pop("modules"))
        findings = tuple(Finding(**finding) for finding in plain.pop("findings"))
        if plain.keys() != {field.name for field in fields(Inspection)} - {"modules", "findings"}:
            return None
        return Inspection(modules=modules, findings=findings, **_tuples(plain))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
