"""Checkpoints of one training, from which a stopped run goes on to the same adapter."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from loraleak.errors import UsageError, of_system
from loraleak.files import replacing
from loraleak.progress import announce

__all__ = ["Checkpoints"]

_SCHEMA = "loraleak.checkpoint/1"


@dataclass(frozen=True)
class Checkpoints:
    """The file that a training is kept in, how often, and whether it goes on from there."""

    file: Path
    """Only its owner can read it, because it is made from private images. The newest checkpoint replaces the one before."""
    of: str
    """Hash of what a training shares with the one that it goes on from: images, base, defence, recipe but for its length and rate."""
    every: int
    """Steps between two checkpoints; 0 keeps none."""
    resume: bool = False

    def begin(self, tensors: Mapping[str, Tensor]) -> int:
        """Put what was kept into the tensors of a training, and give the step after which it was kept; 0 for a new training.

        Raises: UsageError, if there is no checkpoint to go on from, or if it is of another training.
        """
        if not self.resume:
            return 0
        try:
            with safe_open(self.file, "pt") as kept:
                facts = json.loads((kept.metadata() or {}).get("loraleak", "{}"))
                if facts.get("schema") != _SCHEMA or set(kept.keys()) != set(tensors):
                    raise UsageError("it holds no checkpoint", path=self.file, remedy="leave --resume out")
                if facts["of"] != self.of:
                    fault = "it is of a training with other photos, another base, defence or recipe"
                    raise UsageError(fault, path=self.file, remedy="give the same ones, or leave --resume out")
                with torch.no_grad():
                    for name, tensor in tensors.items():
                        tensor.copy_(kept.get_tensor(name))
        except FileNotFoundError:
            raise UsageError("there is no checkpoint", path=self.file, remedy="leave --resume out") from None
        except SafetensorError as error:
            raise UsageError(f"it is damaged ({error})", path=self.file, remedy="leave --resume out") from error
        return int(facts["step"])

    def keep(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep a training after this step, if it is one of those and every number is finite. A full disk costs a line on stderr."""
        if not self.every or step % self.every or not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            return
        facts = {"schema": _SCHEMA, "of": self.of, "step": step}
        data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata={"loraleak": json.dumps(facts)})
        try:
            with replacing(self.file, mode=0o600) as partial:
                partial.write_bytes(data)
        except OSError as error:
            announce(f"no checkpoint at step {step}: {of_system(error)}")

    @property
    def kept(self) -> str:
        """Words that say what is kept; empty if nothing is."""
        if not self.file.exists():
            return ""
        with safe_open(self.file, "pt") as kept:
            step = json.loads(kept.metadata()["loraleak"])["step"]
        return f"step {step} is kept in {self.file}: --resume goes on from there"

    def forget(self) -> None:
        """Delete the file, once the adapter is written."""
        self.file.unlink(missing_ok=True)
