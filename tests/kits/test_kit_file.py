"""A kit's file: what is written is read again, what is not sound is refused in one line."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from loraleak.assets import POCKET_KIT
from loraleak.errors import UsageError
from loraleak.kits import Card, Controls, Kit, People, Quality, SamplingSetup, read_kit, save_kit
from loraleak.kits.kit_file import kit_bytes
from loraleak.types import Interval, Sightings

SAMPLING = SamplingSetup("a" * 64, "faces-1", "a photo of a person", 20, 2.0)
CARD = Card(
    base="somebody/base",
    base_sha256="a" * 64,
    family="StableDiffusionPipeline",
    embedder="faces",
    class_prompt="a photo of a person",
    recipes=({"ranks": [4, 8], "steps": [100, 400], "targets": "attention"},),
    people=People(attack=50, controls=9, templates=20, quality=5),
    source="volunteers",
    licence="CC BY 4.0",
    loraleak="0.1.0",
    quality=Quality(
        victims=5,
        wrong_audits=20,
        found={"high": Interval(0.5, 0.1, 0.9)},
        false_alarms={"high": Interval(0.0, 0.0, 0.1)},
        gallery=25,
        rank1={"lora-class": Interval(1.0, 1.0, 1.0)},
    ),
)


@pytest.fixture
def kit() -> Kit:
    rng = np.random.default_rng(0)

    def units(*shape: int) -> np.ndarray:
        vectors = rng.standard_normal(shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    several = Sightings(units(44, 16), np.array([1, 2, 0, 3] * 7 + [0, 2] + [0] * 6))
    arms = {
        "lora-class": Sightings.one_each(units(36, 16)),
        "lora-empty": several,
        "base-z": Sightings(units(0, 16), np.zeros(36, int)),
    }
    controls = Controls(SAMPLING, arms, 4, units(20, 16), tuple(units(1 + i % 4, 16) for i in range(20)))
    return Kit(CARD, SAMPLING, controls=controls)


def test_a_kit_reads_back_to_half_precision_and_gives_the_same_bytes_again(kit: Kit, tmp_path: Path) -> None:
    save_kit(kit, tmp_path / "kit.safetensors")
    again = read_kit(tmp_path / "kit.safetensors")
    assert again.card == kit.card and again.sampling == kit.sampling and again.attack is None
    assert again.controls is not None and kit.controls is not None and len(again.controls) == 9
    for name, vectors in kit.controls.arms.items():
        shown = again.controls.arms[name]
        assert shown.vectors.dtype == np.float32 and (shown.counts == vectors.counts).all()
        assert np.abs(shown.vectors - vectors.vectors).max(initial=0) < 5e-4
        assert again.controls.nearest(name, shown.vectors[0] if len(shown.vectors) else np.zeros(16)).shape == (9, 4, 16)
    assert [len(photos) for photos in again.people] == [1 + i % 4 for i in range(20)]
    assert all(np.abs(a - b).max() < 5e-4 for a, b in zip(again.people, kit.people, strict=True))
    assert kit_bytes(again) == (tmp_path / "kit.safetensors").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "kit.safetensors"]


def test_pockets_kit_gives_the_same_bytes_again() -> None:
    assert kit_bytes(read_kit(POCKET_KIT)) == POCKET_KIT.read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {"base_sha256": "d" * 64},
        {"embedder": "faces-2"},
        {"class_prompt": "a photo of a cat"},
        {"steps": 10},
        {"guidance_scale": 3.0},
        {"attack_sha256": "0"},
    ],
    ids=str,
)
def test_controls_of_another_sampling_are_not_given(kit: Kit, other: dict[str, Any]) -> None:
    assert kit.controls_for(SAMPLING) is kit.controls
    assert kit.controls_for(replace(SAMPLING, **other)) is None


def test_without_templates_no_embedding_of_anybody_is_left(kit: Kit, tmp_path: Path) -> None:
    save_kit(kit.without_templates(), tmp_path / "kit.safetensors")
    assert load((tmp_path / "kit.safetensors").read_bytes()) == {}
    assert read_kit(tmp_path / "kit.safetensors").people == ()


Facts = dict[str, Any]
Change = Callable[[Facts, dict[str, np.ndarray]], object]


def _drop(part: str, field: str) -> Change:
    return lambda facts, tensors: facts[part].pop(field)


def _set(part: str, field: str, value: object) -> Change:
    return lambda facts, tensors: facts[part].__setitem__(field, value)


def _tensor(name: str, value: np.ndarray) -> Change:
    return lambda facts, tensors: tensors.__setitem__(name, value)


HOSTILE: Mapping[str, tuple[Change, str]] = {
    "another schema": (lambda f, t: f.__setitem__("schema", "loraleak.kit/9"), "it is no kit of the kind"),
    "no card": (lambda f, t: f.pop("card"), "its header is malformed"),
    "a card that is a list": (lambda f, t: f.__setitem__("card", []), "card is missing or not as it should be"),
    "no base": (_drop("card", "base_sha256"), "card.base_sha256 is missing"),
    "a name that is a number": (_set("card", "base", 3), "card.base is missing or not"),
    "a field of no kit": (_set("card", "code", "import os"), "card has fields that are not known"),
    "a text without end": (_set("card", "source", "x" * 20_000), "card.source"),
    "a share that is infinite": (
        lambda f, t: f["card"]["quality"]["found"]["high"].__setitem__("mean", "1e999"),
        "card.quality.found.high.mean",
    ),
    "a negative number of people": (lambda f, t: f["card"]["people"].__setitem__("attack", -1), "card.people.attack"),
    "settings within settings": (lambda f, t: f["card"]["recipes"][0].__setitem__("a", [[1]]), "recipes"),
    "controls of another base": (_set("sampling", "base_sha256", "d" * 64), "for another base"),
    "a hash that is a path": (_set("sampling", "base_sha256", "../../../etc/cron"), "is no hash"),
    "an attack without numbers": (lambda f, t: f.__setitem__("attack", {"kind": "invariant"}), "its attack lacks"),
    "an attack without header": (_tensor("attack/mean_z", np.zeros((2, 2), np.float16)), "its attack lacks"),
    "a table that counts too many": (
        lambda f, t: f.__setitem__(
            "sensitivity",
            {
                "sampling": f["sampling"],
                "attacks": ["lora-class"],
                "rows": [{"images": 1, "steps": 1, "photos": 1, "files": 2, "review": 3, "high": 0}],
            },
        ),
        "counts more files than there are",
    ),
    "an arm that nobody counted": (_tensor("controls/arm/x", np.zeros((3, 16), np.float16)), "do not go together"),
    "an arm of another size": (_tensor("controls/found/lora-class", np.ones((9, 5), np.int32)), "do not go together"),
    "faces that are not there": (_tensor("controls/found/lora-class", np.full((9, 4), 2, np.int32)), "do not go together"),
    "more faces than fit": (_tensor("controls/found/lora-class", np.full((9, 4), 2**30, np.int32)), "do not go together"),
    "people of another width": (_tensor("controls/people", np.zeros((50, 8), np.float16)), "do not go together"),
    "counts that do not add up": (_tensor("controls/counts", np.full(20, 9, np.int32)), "do not go together"),
    "counts that are negative": (_tensor("controls/counts", np.full(20, -1, np.int32)), "do not go together"),
    "numbers that are none": (_tensor("controls/cohort", np.full((20, 16), np.nan, np.float16)), "NaN or infinity"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_kit_is_refused_in_one_line(kind: str, kit: Kit, tmp_path: Path) -> None:
    change, says = HOSTILE[kind]
    file = tmp_path / "kit.safetensors"
    data = kit_bytes(kit)
    size = int.from_bytes(data[:8], "little")
    facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["loraleak"])
    tensors = load(data)
    change(facts, tensors)
    file.write_bytes(save(tensors, metadata={"loraleak": json.dumps(facts)}))
    with pytest.raises(UsageError, match=says) as caught:
        read_kit(file)
    assert "\n" not in str(caught.value) and "kit build" in str(caught.value)


def test_what_is_no_kit_is_refused(tmp_path: Path) -> None:
    for name, data in {"text": b"dear reader", "pickle": b"\x80\x04" + bytes(400), "nothing": b""}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="loraleak kit build"):
            read_kit(tmp_path / name)
    (tmp_path / "lora").write_bytes(save({"a": np.zeros(3, np.float16)}))
    with pytest.raises(UsageError, match="and no kit"):
        read_kit(tmp_path / "lora")
    with pytest.raises(UsageError, match="no such file"):
        read_kit(tmp_path / "nowhere")
