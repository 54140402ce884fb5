"""An attack's file of a stranger: nothing is larger than its own numbers, and what does not go together is refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loraleak.bases import DiffusersBase
from loraleak.errors import BaseMismatchError, UsageError
from loraleak.inversion.stored import StoredAttack, read_attack
from loraleak.inversion.weight_autoencoder import WeightAutoencoder, new_encoder


@pytest.fixture
def stored(base: DiffusersBase, shapes: dict[str, torch.Size], tmp_path: Path) -> StoredAttack:
    encoder = new_encoder("invariant", shapes, base, steps=True)
    codes = torch.zeros(3, *base.condition_shape)
    attack = WeightAutoencoder("invariant", "file", encoder, base.sha256, codes, codes[0], codes[0])
    attack.save(tmp_path / "attack.safetensors")
    return read_attack(tmp_path / "attack.safetensors")


def test_it_gives_the_bytes_of_its_file_again(stored: StoredAttack, tmp_path: Path) -> None:
    assert stored.data == (tmp_path / "attack.safetensors").read_bytes()


def test_another_checkpoint_is_read_only_where_that_is_asked_for(stored: StoredAttack, base: DiffusersBase) -> None:
    other = replace(stored, facts={**stored.facts, "base_sha256": "another"})
    with pytest.raises(BaseMismatchError, match="trained for another base"):
        other.on(base)
    assert other.on(base, of_family=True).base_sha256 == "another"


HOSTILE: Mapping[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a network that fills the memory": (lambda f: f["shape"].update(width=60_000, code=60_000), "does not go with its numbers"),
    "a network without bounds": (lambda f: f["shape"].update(width=10**12), "does not go with its numbers"),
    "a negative size": (lambda f: f["shape"].update(probes=-1), "does not go with its numbers"),
    "sizes that are none": (lambda f: f.update(shape=3), "does not go with its numbers"),
    "a size of no encoder": (lambda f: f["shape"].update(code_to_run="import os"), "does not go with its numbers"),
    "modules of no base": (
        lambda f: f["shapes"].update({"unet.backdoor": [10**9, 10**9]}),
        "take an attack of the same family",
    ),
    "a prompt of another size": (lambda f: f.update(condition=[10**6, 10**6]), "take an attack of the same family"),
    "an encoder that is not there": (lambda f: f.update(kind="os.system"), "no encoder is called"),
    "another knowledge": (lambda f: f.update(knowledge="everything"), "does not go with its numbers"),
    "another schema": (lambda f: f.update(schema="\x1b[31m"), "train it again"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_header_is_refused(kind: str, stored: StoredAttack, base: DiffusersBase) -> None:
    change, says = HOSTILE[kind]
    facts = {**stored.facts, "shape": dict(stored.facts["shape"]), "shapes": dict(stored.facts["shapes"])}
    change(facts)
    with pytest.raises((UsageError, BaseMismatchError), match=says) as caught:
        StoredAttack(facts, stored.tensors).on(base)
    assert "\x1b" not in str(caught.value)


def test_numbers_that_lack_some_are_refused(stored: StoredAttack, base: DiffusersBase) -> None:
    for name in ("universal_z", "encoder.code.weight"):
        with pytest.raises(UsageError, match="does not go with its numbers"):
            StoredAttack(stored.facts, {k: v for k, v in stored.tensors.items() if k != name}).on(base)
    wrong = {**stored.tensors, "mean_z": np.zeros((1, 1), np.float16)}
    with pytest.raises(UsageError, match="does not go with its numbers"):
        StoredAttack(stored.facts, wrong).on(base)
