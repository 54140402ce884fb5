"""The file of a kit: one safetensors file, numbers and JSON in the header, never code.

```
attack/<name>            the weight autoencoder, as its own file holds it
controls/arm/<arm>       [controls, images, dim]  embeddings of what each arm makes of the control adapters
controls/cohort          [people, dim]            templates of other people
controls/people          [photos, dim]            embeddings of these people's photos, person after person
controls/counts          [people]                 number of photos of each
header, field loraleak   JSON: schema, card, sampling, attack, sensitivity, calibration
```
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from loraleak.adapters.container import Container, read_container
from loraleak.errors import AdapterError, UsageError
from loraleak.files import write_bytes
from loraleak.inversion import StoredAttack
from loraleak.kits.contents import Calibration, Card, Controls, Kit, SamplingSetup, Table
from loraleak.kits.parsing import parsed

__all__ = ["SCHEMA", "is_kit", "kit_bytes", "read_kit", "save_kit"]

SCHEMA = "loraleak.kit/1"

_ATTACK, _ARM = "attack/", "controls/arm/"
_HASH = re.compile(r"[0-9a-f]{64}")
_REMEDY = "get it anew, or make one with `loraleak kit build`"


def save_kit(kit: Kit, file: Path) -> None:
    """Write the kit, in half precision. The same kit always gives the same bytes."""
    write_bytes(file, kit_bytes(kit))


def kit_bytes(kit: Kit) -> bytes:
    """The bytes of a kit's file."""
    tensors: dict[str, np.ndarray] = {}
    if kit.attack is not None:
        tensors |= {f"{_ATTACK}{name}": value for name, value in kit.attack.tensors.items()}
    if kit.controls is not None:
        tensors |= {f"{_ARM}{name}": value for name, value in kit.controls.arms.items()}
        tensors["controls/cohort"] = kit.controls.cohort
        tensors["controls/people"] = np.concatenate(kit.controls.people)
    halves = {name: np.ascontiguousarray(value, np.float16) for name, value in tensors.items()}
    if kit.controls is not None:
        halves["controls/counts"] = np.array([len(photos) for photos in kit.controls.people], np.int32)
    facts = {
        "schema": SCHEMA,
        "card": asdict(kit.card),
        "sampling": asdict(kit.sampling),
        "attack": None if kit.attack is None else dict(kit.attack.facts),
        "sensitivity": None if kit.sensitivity is None else asdict(kit.sensitivity),
        "calibration": None if kit.calibration is None else asdict(kit.calibration),
    }
    return save(halves, metadata={"loraleak": json.dumps(facts, allow_nan=False)})


def is_kit(file: Path) -> bool:
    """Whether a file says that it is a kit. Nothing but its header is looked at."""
    try:
        return SCHEMA.partition("/")[0] in read_container(file).metadata.get("loraleak", "")[:100]
    except AdapterError:
        return False


def read_kit(file: str | Path) -> Kit:
    """Read a kit of anybody's, within the caps of adapters.

    Raises: UsageError, if it is no kit, is damaged, or holds something that a kit does not.
    """
    path = Path(file)
    try:
        held = read_container(path)
        if "loraleak" not in held.metadata:
            raise ValueError("it is a safetensors file and no kit")
        facts = json.loads(held.metadata["loraleak"])
        if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
            raise ValueError(f"it is no kit of the kind {SCHEMA}")
        return _kit(held, facts)
    except AdapterError as error:
        raise UsageError(*error.faults, path=path, remedy=_REMEDY) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        fault = (
            str(error) if isinstance(error, ValueError) and str(error) else f"its header is malformed ({type(error).__name__})"
        )
        raise UsageError(fault, path=path, remedy=_REMEDY) from error


def _kit(held: Container, facts: Mapping[str, Any]) -> Kit:
    sampling = parsed(SamplingSetup, facts["sampling"], "sampling")
    kit = Kit(
        card=parsed(Card, facts["card"], "card"),
        sampling=sampling,
        attack=_attack(held, facts["attack"]),
        controls=_controls(held, sampling),
        sensitivity=None if facts["sensitivity"] is None else parsed(Table, facts["sensitivity"], "sensitivity"),
        calibration=None if facts["calibration"] is None else parsed(Calibration, facts["calibration"], "calibration"),
        sha256=held.sha256,
    )
    if not _HASH.fullmatch(sampling.base_sha256):  # it becomes the name of a file
        raise ValueError("the hash of its base is no hash")
    if kit.card.base_sha256 != sampling.base_sha256:
        raise ValueError("its card is for another base than its sampling")
    if kit.attack is not None and (kit.attack.base_sha256, kit.attack.sha256) != (sampling.base_sha256, sampling.attack_sha256):
        raise ValueError("its attack is not the one that its controls were sampled with")
    if kit.sensitivity is not None and not all(0 <= row.high <= row.review <= row.files > 0 for row in kit.sensitivity.rows):
        raise ValueError("its table of sensitivity counts more files than there are")
    return kit


def _attack(held: Container, facts: object) -> StoredAttack | None:
    names = [name for name in held.tensors if name.startswith(_ATTACK)]
    if facts is None and not names:
        return None
    if not isinstance(facts, dict) or not names:
        raise ValueError("its attack lacks its header or its numbers")
    return StoredAttack(facts, {name.removeprefix(_ATTACK): held.tensors[name] for name in names})


def _controls(held: Container, sampling: SamplingSetup) -> Controls | None:
    names = [name for name in held.tensors if name.startswith("controls/")]
    if not names:
        return None
    arms = {name.removeprefix(_ARM): held.tensors[name].astype(np.float32) for name in names if name.startswith(_ARM)}
    cohort, people = (held.tensors[f"controls/{name}"].astype(np.float32) for name in ("cohort", "people"))
    counts = held.tensors["controls/counts"]
    dim = cohort.shape[-1]
    sound = (
        arms
        and all(values.ndim == 3 and values.shape[-1] == dim for values in arms.values())
        and len({len(values) for values in arms.values()}) == 1
        and cohort.ndim == people.ndim == 2
        and people.shape[1] == dim
        and counts.ndim == 1
        and len(counts) == len(cohort)
        and counts.dtype.kind in "iu"
        and counts.min() > 0
        and int(counts.sum()) == len(people)
    )
    if not sound:
        raise ValueError("the shapes of its controls and people do not go together")
    return Controls(sampling, arms, cohort, tuple(np.split(people, np.cumsum(counts)[:-1])))
