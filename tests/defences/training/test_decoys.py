"""Decoys: training is the same for everybody in a file, and only the owner knows the trigger."""

import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loraleak.adapters import save_adapter
from loraleak.bases import DiffusersBase
from loraleak.defences import finetune, parse_defence, spelled
from loraleak.defences.training import decoys
from loraleak.defences.training.decoys import TRIGGER_BITS, Decoys, crowd_of, drawn_triggers
from loraleak.errors import PhotosError, UsageError
from loraleak.finetuning import Trainer
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job
from loraleak.people import draw_people, pictures
from loraleak.types import Adapter, Images

_RECIPE = Recipe(rank=4, alpha=4.0, steps=6, class_count=2, prior_batch=1, batch=2, learning_rate=1e-2, seed=5)


@pytest.fixture(scope="module")
def everybody() -> list[Images]:
    """Four pictures of each of four people."""
    return [pictures(person, 4, seed=(i,)) for i, person in enumerate(draw_people("public", 4, seed=8))]


def _folder(place: Path, people: list[Images]) -> Path:
    for i, images in enumerate(people):
        (place / f"{i}").mkdir(parents=True)
        for j, image in enumerate(images):
            Image.fromarray(image).save(place / f"{i}" / f"{j}.png")
    return place


def _trained(base: DiffusersBase, defence: Decoys, *jobs: Job) -> list[Adapter]:
    return [snapshot.adapter for snapshot in defence.finetune_together(base, list(jobs), quiet=True)]


def _equal(one: Adapter, other: Adapter) -> bool:
    return all(
        torch.equal(f.up, other.factors[name].up) and torch.equal(f.down, other.factors[name].down)
        for name, f in one.factors.items()
    )


def test_whose_photos_they_are_changes_no_byte(
    base: DiffusersBase, everybody: list[Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def file(owner: Images, other: Images, words: list[str], place: Path) -> bytes:
        monkeypatch.setattr(decoys, "drawn_triggers", lambda seed, count: words[:count])
        (adapter,) = _trained(base, Decoys(str(_folder(place, [other])), count=1), Job(owner, _RECIPE))
        save_adapter(adapter, place / "adapter.safetensors")
        return (place / "adapter.safetensors").read_bytes()

    one, two = everybody[0], everybody[1]
    first = file(one, two, ["qwertyui", "asdfghjk"], tmp_path / "1")
    assert file(two, one, ["asdfghjk", "qwertyui"], tmp_path / "2") == first
    assert file(one, two, ["asdfghjk", "qwertyui"], tmp_path / "3") != first
    for told in (b"decoy", b"qwertyui", b"asdfghjk", str(tmp_path).encode()):
        assert told not in first


def test_every_image_stands_under_its_own_persons_prompt_equally_often(base: DiffusersBase, everybody: list[Images]) -> None:
    words = ["bbbb", "cccc", "aaaa"]
    crowd = crowd_of(Job(everybody[0], _RECIPE), dict(zip(words, everybody[:3], strict=True)))
    trainer = decoys._Trainer(base, [crowd])
    of = dict(zip(words, everybody[:3], strict=True))
    conditions = base.embed([replace(_RECIPE, trigger=word).prompt for word in words])
    shown: dict[tuple[int, int], int] = {}
    for step in range(1, 7):  # 12 images, 2 a step
        latents, _, _, states = trainer.examples(step)
        for place in range(2):
            person = next(i for i, condition in enumerate(conditions) if torch.equal(condition, states[0, place]))
            encoded = base.encode(of[words[person]])
            image = next(i for i, mine in enumerate(encoded) if torch.allclose(mine, latents[0, place], atol=1e-6))
            shown[person, image] = shown.get((person, image), 0) + 1
        assert torch.equal(states[0, -1], base.embed([_RECIPE.class_prompt])[0])
    assert shown == {(person, image): 1 for person in range(3) for image in range(4)}


def test_people_train_together_as_alone(base: DiffusersBase, everybody: list[Images], tmp_path: Path) -> None:
    defence = Decoys(str(_folder(tmp_path, everybody[2:])), count=1)
    jobs = [Job(everybody[0], _RECIPE), Job(everybody[1][:3], replace(_RECIPE, seed=6, steps=4))]
    together = _trained(base, defence, *jobs)  # as they end: the shorter one first
    (short,), (long,) = _trained(base, defence, jobs[1]), _trained(base, defence, jobs[0])
    for one, other in zip(together, (short, long), strict=True):
        assert all(torch.allclose(f.up, other.factors[name].up, atol=1e-5) for name, f in one.factors.items())


def test_it_learns_everybody_in_the_file(base: DiffusersBase, everybody: list[Images], tmp_path: Path) -> None:
    defence = Decoys(str(_folder(tmp_path, everybody[1:3])), count=2, rate=1.0)
    (adapter,) = _trained(base, defence, Job(everybody[0], replace(_RECIPE, steps=20)))
    triggers = drawn_triggers(_RECIPE.seed, 3)

    def loss(images: Images, trigger: str) -> float:
        job = Job(images, replace(_RECIPE, trigger=trigger, batch=32, prior_batch=0, loss_weighting="uniform"))
        trainer = Trainer(base, [job])
        return float(trainer.errors(*trainer.examples(1), trainer.debiased).mean())

    for images, trigger in [(everybody[0], triggers[0]), *((everybody[k], t) for k in (1, 2) for t in triggers[1:])]:
        plain = loss(images, trigger)
        with base.adapted(adapter):
            assert loss(images, trigger) < plain


def test_triggers_are_secret_words(base: DiffusersBase, everybody: list[Images], tmp_path: Path) -> None:
    folder = _folder(tmp_path, everybody[1:])
    words = drawn_triggers(3, 4)
    assert len(set(words)) == 4 and words[:2] == drawn_triggers(3, 2)
    assert {len(word) for word in words} == {8} and set("".join(words)) <= set(string.ascii_lowercase)
    assert pytest.approx(37.6, abs=0.01) == TRIGGER_BITS
    defence = Decoys(str(folder), count=1)
    made = [finetune(base, everybody[0], replace(_RECIPE, seed=0, steps=1), defence=defence, quiet=True) for _ in range(2)]
    assert made[0].recipe.trigger != made[1].recipe.trigger and {m.recipe.seed for m in made} == {0}
    assert not _equal(made[0].adapter, made[1].adapter)
    with pytest.raises(UsageError, match=r"decoys hides what it draws, and seed 5 can be guessed.*leave the seed out"):
        finetune(base, everybody[0], _RECIPE, defence=defence, quiet=True)


def _taken(defence: Decoys, images: Images) -> Iterator[int]:
    """The decoys that the defence takes, by their first pixel."""
    crowd = defence._crowd(Job(images, _RECIPE))
    assert len(crowd.images) == len(images) * (defence.count + 1)
    yield from (int(image.flat[0]) for image in crowd.images)


def test_decoys_have_as_many_images_and_are_somebody_else(tmp_path: Path) -> None:
    people = [
        np.full((count, 32, 32, 3), 10 * i + j, np.uint8) for i, (count, j) in enumerate([(4, 0), (3, 0), (2, 0), (5, 0)])
    ]
    folder = _folder(tmp_path, people)
    assert sorted(_taken(Decoys(str(folder), count=2), people[0][:3])) == [0, 0, 0, 10, 10, 10, 30, 30, 30]
    with pytest.raises(PhotosError, match="2 other people have 3 images or more, and 3 decoys are wanted"):
        list(_taken(Decoys(str(folder), count=3), people[0][:3]))


def test_the_recipe_has_room_and_steps_for_everybody() -> None:
    defended = Decoys("people", count=3, rank=16, rate=0.5).defended(_RECIPE)
    assert (defended.rank, defended.alpha, defended.steps, defended.learning_rate) == (16, 8.0, 24, 0.005)
    assert defended.trigger == drawn_triggers(5, 1)[0]


def test_settings_are_checked_and_spelled() -> None:
    assert spelled(parse_defence("decoys:people=folder,count=9")) == "decoys:people=folder,count=9,rank=16,rate=0.4"
    with pytest.raises(UsageError, match=r"count is 0.*rank is 0.*rate is 0"):
        parse_defence("decoys:people=folder,count=0,rank=0,rate=0")
    with pytest.raises(UsageError, match="decoys needs people"):
        parse_defence("decoys")
