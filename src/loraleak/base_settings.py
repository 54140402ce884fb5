"""Settings of the base and of how it runs; light to import, so that the command line starts fast."""

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from loraleak.checks import out_of_bounds, refuse

__all__ = ["AUDIT_STEPS", "BaseSettings", "Precision"]

Precision = Literal["float32", "bfloat16", "float16"]

AUDIT_STEPS = 20
"""Sampler steps of audits, benches and kits, unless somebody gives others. Control adapters, tables and calibrations of a kit hold for
audits with as many steps, so a change of this number needs every kit anew."""

_DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


@dataclass(frozen=True)
class BaseSettings:
    """The base of an adapter, and its use of the machine. docs/bases.md tells more."""

    base: str = "pocket"
    """Base: `pocket`, a diffusers pipeline folder, a hub id, or a single-file checkpoint (.safetensors)."""
    base_config: str | None = None
    """Pipeline folder or hub id of the same kind, which gives a single-file base what the file lacks."""
    device: str = "auto"
    """Device: auto, cpu, cuda or mps."""
    dtype: Precision = "float32"
    """Type of the base's weights. Half precision takes half the memory. Factors are learned in float32 in any case."""
    resolution: int | None = None
    """Side of the pictures in pixels. The default is the base's own."""
    offload: bool = False
    """Keep only the model at work (text encoder, denoiser or autoencoder) in the GPU's memory."""
    save_memory: bool = False
    """Take less memory and more time: one picture at a time, attention in slices, pictures in tiles, no stored activations."""

    def __post_init__(self) -> None:
        for name in ("base", "base_config"):  # "~" that the shell left as it is
            object.__setattr__(self, name, (given := getattr(self, name)) and os.path.expanduser(given))
        faults = out_of_bounds(self, {"resolution": (8, 8192)})
        if not _DEVICES.fullmatch(self.device):
            faults.append(f"device is {self.device!r}, give auto, cpu, cuda, cuda:<number> or mps")
        faults += [f"{name}: {fault}" for name in ("base", "base_config") if (fault := _missing(getattr(self, name)))]
        refuse(*faults)

    def resolved(self) -> "BaseSettings":
        """The same settings with absolute paths, for processes that start in another folder."""
        config = self.base_config
        return replace(self, base=_absolute(self.base), base_config=None if config is None else _absolute(config))

    @property
    def choices(self) -> dict[str, Any]:
        """Keyword arguments of `load_base`."""
        names = {"base": "name", "base_config": "config"}
        return {
            names.get(name, name): value for name, value in asdict(self).items() if name in BaseSettings.__dataclass_fields__
        }


def _missing(name: str | None) -> str:
    """Fault of a path that leads nowhere; empty for what may be a hub id, owner/name."""
    if not name or Path(name).exists():
        return ""
    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if name.endswith(".safetensors"):
        return f"no such file, {name}"
    return f"no such folder, {name}: give a diffusers pipeline folder, or a hub id such as owner/name" if is_path else ""


def _absolute(name: str) -> str:
    return str(Path(name).resolve()) if name != "pocket" and Path(name).exists() else name
