"""The file of a kit: one safetensors file, numbers and JSON in the header, never code.

```
attack/<name>            the weight autoencoder, as its own file holds it
controls/arm/<arm>       [found, dim]             embeddings of whom each arm's pictures of the control adapters show
controls/found/<arm>     [controls, images]       number of them on each picture
controls/cohort          [people, dim]            templates of other people
controls/people          [photos, dim]            embeddings of these people's photos, person after person
controls/counts          [people]                 number of photos of each
readers/<name>           readers of traits and of the number of photos; older kits have none
header, field loraleak   JSON: schema, card, sampling, attack, sensitivity, calibration, readers
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
from loraleak.readers import Readers, ReadersCard, checked
from loraleak.types import Sightings

__all__ = ["SCHEMA", "is_kit", "kit_bytes", "read_kit", "save_kit"]

SCHEMA = "loraleak.kit/1"

_ATTACK, _ARM, _FOUND, _READERS = "attack/", "controls/arm/", "controls/found/", "readers/"
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_FOUND = 10_000
"""Most faces on a picture, and most photos of a person."""
_DISAGREE = "the shapes of its controls and people do not go together"
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
        tensors |= {f"{_ARM}{name}": shown.vectors for name, shown in kit.controls.arms.items() if len(shown.vectors)}
        tensors["controls/cohort"] = kit.controls.cohort
        tensors["controls/people"] = np.concatenate(kit.controls.people)
    if kit.readers is not None:
        tensors |= {f"{_READERS}{name}": value for name, value in kit.readers.tensors.items()}
    halves: dict[str, np.ndarray] = {name: np.ascontiguousarray(value, np.float16) for name, value in tensors.items()}
    if kit.controls is not None:
        for name, shown in kit.controls.arms.items():
            halves[f"{_FOUND}{name}"] = shown.counts.astype(np.int32).reshape(len(kit.controls), -1)
        halves["controls/counts"] = np.array([len(photos) for photos in kit.controls.people], np.int32)
    facts = {
        "schema": SCHEMA,
        "card": asdict(kit.card),
        "sampling": asdict(kit.sampling),
        "attack": None if kit.attack is None else dict(kit.attack.facts),
        "sensitivity": None if kit.sensitivity is None else asdict(kit.sensitivity),
        "calibration": None if kit.calibration is None else asdict(kit.calibration),
        **({} if kit.readers is None else {"readers": asdict(kit.readers.card)}),
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
        readers=_readers(held, facts.get("readers")),
        sha256=held.sha256,
    )
    if not _HASH.fullmatch(sampling.base_sha256):  # it becomes the name of a file
        raise ValueError("the hash of its base is no hash")
    if kit.card.base_sha256 != sampling.base_sha256:
        raise ValueError("its card is for another base than its sampling")
    if kit.readers is not None and kit.readers.card.base_sha256 != sampling.base_sha256:
        raise ValueError("its readers are for another base than its sampling")
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


def _readers(held: Container, facts: object) -> Readers | None:
    if facts is None:
        return None
    names = [name for name in held.tensors if name.startswith(_READERS)]
    card = parsed(ReadersCard, facts, "readers")
    return checked(Readers(card, {name.removeprefix(_READERS): held.tensors[name] for name in names}))


def _controls(held: Container, sampling: SamplingSetup) -> Controls | None:
    names = [name for name in held.tensors if name.startswith("controls/")]
    if not names:
        return None
    cohort, people = (held.tensors[f"controls/{name}"].astype(np.float32) for name in ("cohort", "people"))
    counts, found = held.tensors["controls/counts"], {name: held.tensors[name] for name in names if name.startswith(_FOUND)}
    sound = (
        found
        and {_FOUND + name.removeprefix(_ARM) for name in names if name.startswith(_ARM)} <= found.keys()
        and len({shown.shape for shown in found.values()}) == 1
        and all(shown.ndim == 2 and _are_counts(shown) for shown in found.values())
        and cohort.ndim == people.ndim == 2
        and people.shape[1] == cohort.shape[1]
        and counts.ndim == 1
        and len(counts) == len(cohort)
        and _are_counts(counts)
        and counts.min() > 0
        and int(counts.sum()) == len(people)
    )
    if not sound:
        raise ValueError(_DISAGREE)
    images = next(iter(found.values())).shape[1]
    arms = {name.removeprefix(_FOUND): _sightings(held, name, shown, cohort.shape[1]) for name, shown in found.items()}
    return Controls(sampling, arms, images, cohort, tuple(np.split(people, np.cumsum(counts)[:-1])))


def _sightings(held: Container, name: str, found: np.ndarray, dim: int) -> Sightings:
    at = _ARM + name.removeprefix(_FOUND)
    vectors = held.tensors[at].astype(np.float32) if at in held.tensors.keys() else np.zeros((0, dim), np.float32)  # noqa: SIM118
    if vectors.ndim != 2 or vectors.shape != (int(found.sum()), dim):
        raise ValueError(_DISAGREE)
    return Sightings(vectors, found.astype(np.int64).ravel())


def _are_counts(numbers: np.ndarray) -> bool:
    return numbers.dtype.kind in "iu" and int(numbers.min()) >= 0 and int(numbers.max()) <= _MOST_FOUND
