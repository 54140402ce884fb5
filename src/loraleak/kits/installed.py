"""Kits that are installed on this machine, by the names of their bases. It needs no torch."""

import json
import os
from pathlib import Path

from loraleak.adapters.container import read_container
from loraleak.errors import AdapterError

__all__ = ["bases_with_kits", "installed_file"]


def bases_with_kits() -> tuple[str, ...]:
    """The bases whose kits are installed, as the kits' cards name them: hostile until escaped. What cannot be read is left out."""
    try:
        files = sorted(_folder().glob("*.safetensors"))
    except RuntimeError:
        return ()
    return tuple(dict.fromkeys(name for file in files if (name := _base_of(file))))


def installed_file(base_sha256: str) -> Path:
    """Where the kit of a base is installed: `$XDG_DATA_HOME/loraleak/kits`, or `~/.local/share/loraleak/kits`.

    Raises: RuntimeError, if nobody knows the home folder.
    """
    return _folder() / f"{base_sha256}.safetensors"


def _folder() -> Path:
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "loraleak" / "kits"


def _base_of(file: Path) -> str:
    try:
        name = json.loads(read_container(file).metadata["loraleak"])["card"]["base"]
    except (AdapterError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""
