"""Settings of the base and of how it runs; light to import, so that the command line starts fast."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from loraleak.errors import UsageError

__all__ = ["BaseSettings", "Precision"]

Precision = Literal["float32", "bfloat16", "float16"]


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
    """Side of the pictures in pixels. The base's own, if none is given."""
    offload: bool = False
    """Keep only the model at work (text encoder, denoiser or autoencoder) in the GPU's memory."""
    save_memory: bool = False
    """Take less memory and more time: one picture at a time, attention in slices, pictures in tiles, no stored activations."""

    def __post_init__(self) -> None:
        if self.resolution is not None and self.resolution < 1:
            raise UsageError(f"resolution is {self.resolution}, give the side of a picture in pixels, such as 512")

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


def _absolute(name: str) -> str:
    return str(Path(name).resolve()) if name != "pocket" and Path(name).exists() else name
