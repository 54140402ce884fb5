"""An attack as its file holds it: facts and numbers, which nobody has trusted yet."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors.numpy import save

from loraleak.adapters.container import read_container
from loraleak.bases import DiffusersBase
from loraleak.errors import AdapterError, BaseMismatchError, UsageError
from loraleak.inversion.train_settings import Knowledge
from loraleak.inversion.weight_autoencoder import ENCODERS, SCHEMA, WeightAutoencoder, new_encoder
from loraleak.untrusted import printable

__all__ = ["StoredAttack", "load_attack", "read_attack"]

_LARGEST = 2**16
"""Largest size of a network that a file may ask for."""


@dataclass(frozen=True)
class StoredAttack:
    """An attack's facts, and its tensors in half precision."""

    facts: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    @property
    def base_sha256(self) -> str:
        return str(self.facts.get("base_sha256"))

    @cached_property
    def data(self) -> bytes:
        """Bytes of the attack's own safetensors file."""
        halves = {name: np.ascontiguousarray(value, np.float16) for name, value in self.tensors.items()}
        return save(halves, metadata={"loraleak": json.dumps(dict(self.facts))})

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes of the attack's own file, wherever it lies now."""
        return hashlib.sha256(self.data).hexdigest()

    def on(self, base: DiffusersBase, *, of_family: bool = False) -> WeightAutoencoder:
        """The attack, ready to read adapters of this base. `of_family` allows another checkpoint than it was trained for.

        No network is larger than the file's own numbers, whatever its header claims.
        Raises: UsageError, if the facts are none of an attack or do not go with the numbers; BaseMismatchError, if it was trained for
        another base, or for modules that this base does not have.
        """
        if self.facts.get("schema") != SCHEMA:
            raise UsageError(
                f"the attack is of the kind {printable(repr(self.facts.get('schema')))}, not {SCHEMA}: train it again"
            )
        if self.base_sha256 != base.sha256 and not of_family:
            raise BaseMismatchError(
                f"the attack was trained for another base than {base.name!r}: train one for it with `loraleak train`"
            )
        try:
            return self._on(base)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UsageError(
                f"the attack's header does not go with its numbers ({type(error).__name__}): get it anew, or train it again"
            ) from error

    def _on(self, base: DiffusersBase) -> WeightAutoencoder:
        facts = self.facts
        shapes = {str(name): torch.Size(shape) for name, shape in facts["shapes"].items()}
        condition = (int(facts["condition"][0]), int(facts["condition"][1]))
        strange = [name for name, shape in shapes.items() if base.modules.get(name) != shape]
        if strange or condition != tuple(base.condition_shape):
            raise BaseMismatchError(
                f"the attack reads {printable(strange[0]) if strange else 'prompts of another size'}, and base {base.name!r} has no "
                "such: take an attack of the same family"
            )
        sizes = dict(facts["shape"])
        if any(isinstance(size, int | float) and not 0 <= size <= _LARGEST for size in sizes.values()):
            raise ValueError("sizes out of bounds")
        steps = bool(facts["step_embedding"])
        made = partial(new_encoder, facts["kind"], shapes, base, steps=steps, condition=condition, sizes=sizes)
        held = {
            name.removeprefix("encoder."): torch.from_numpy(np.asarray(value, np.float32))
            for name, value in self.tensors.items()
            if name.startswith("encoder.")
        }
        if facts["kind"] in ENCODERS:
            with torch.device("meta"):
                planned = made().state_dict()
            if {name: value.shape for name, value in planned.items()} != {name: value.shape for name, value in held.items()}:
                raise ValueError("other sizes")
        encoder = made()
        encoder.load_state_dict(held)
        codes = {
            name: torch.from_numpy(np.asarray(self.tensors[name], np.float32)) for name in ("others", "mean_z", "universal_z")
        }
        if any(tuple(code.shape[-2:]) != condition for code in codes.values()) or codes["others"].ndim != 3:
            raise ValueError("codes of another size")
        start = facts.get("shared_start")
        if facts["knowledge"] not in get_args(Knowledge) or (facts["knowledge"] == "shared-start") != isinstance(start, int):
            raise ValueError("unknown knowledge")
        return WeightAutoencoder(
            kind=facts["kind"],
            knowledge=facts["knowledge"],
            encoder=encoder.requires_grad_(False).eval(),
            base_sha256=self.base_sha256,
            shared_start=start,
            sha256=self.sha256,
            **codes,
        )


def read_attack(file: str | Path) -> StoredAttack:
    """Read an attack's file within the caps of adapters. Raises: UsageError, if it holds no attack."""
    try:
        held = read_container(Path(file))
        facts = json.loads(held.metadata["loraleak"])
        if not isinstance(facts, dict) or "kind" not in facts:
            raise KeyError("kind")
        return StoredAttack(facts, {name: held.tensors[name] for name in held.tensors})
    except (AdapterError, KeyError, ValueError, RecursionError) as error:
        fault = f"it holds no attack ({type(error).__name__})"
        raise UsageError(fault, path=file, remedy="make one with `loraleak train`") from error


def load_attack(file: str | Path, base: DiffusersBase) -> WeightAutoencoder:
    """Read an attack that was trained for this base. Raises: as `read_attack` and `StoredAttack.on`."""
    return read_attack(file).on(base)
