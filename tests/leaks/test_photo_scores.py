"""Scores of photos, each beside a plain loop over one photo and one level."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from loraleak.bases import DiffusersBase
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, finetune_together
from loraleak.leaks.photo_scores import PHOTO_SCORES, Probing
from loraleak.types import Adapter, Images

_PROMPT = "a photo of a person"


@pytest.fixture
def adapter(base: DiffusersBase, private_images: Images) -> Adapter:
    recipe = Recipe(trigger="zqkv", rank=4, alpha=8.0, steps=40, class_count=2, prior_batch=0, batch=2, learning_rate=2e-2)
    (snapshot,) = finetune_together(base, [Job(private_images[:2], recipe)], quiet=True)
    return snapshot.adapter


@pytest.fixture
def probing(base: DiffusersBase) -> Probing:
    return Probing(base, *base.embed([_PROMPT, ""]), levels=4, seed=3)


def _predict(base: DiffusersBase, noisy: Tensor, timestep: int, prompt: str) -> Tensor:
    predicted: Tensor = base.predict(noisy[None], torch.tensor([timestep]), base.embed([prompt]))[0]
    return predicted


def _slow_loss(base: DiffusersBase, photo: Tensor, prompt: str = _PROMPT) -> list[float]:
    """Errors of one photo at four levels of a base that predicts noise, from the definition of its schedule."""
    bars = base.schedule.alphas_cumprod
    noise = torch.randn((4, *photo.shape), generator=torch.Generator().manual_seed(3))
    errors = []
    for k in range(4):
        timestep = int((k + 0.5) / 4 * len(bars))
        noisy = math.sqrt(bars[timestep]) * photo + math.sqrt(1 - bars[timestep]) * noise[k]
        errors.append(float((_predict(base, noisy, timestep, prompt) - noise[k]).square().mean()))
    return errors


def test_losses_are_those_of_a_plain_loop(
    base: DiffusersBase, adapter: Adapter, probing: Probing, private_images: Images
) -> None:
    latents = base.encode(private_images)
    with torch.no_grad():
        before = [_slow_loss(base, photo) for photo in latents]
        with base.adapted(adapter):
            after = [_slow_loss(base, photo) for photo in latents]
            empty = [_slow_loss(base, photo, "") for photo in latents]
            found = {name: PHOTO_SCORES[name](probing, latents) for name in PHOTO_SCORES}
    pairs = list(zip(before, after, strict=True))
    slow = {
        "loss": [-sum(own) / 4 for own in after],
        "loss-difference": [(sum(b) - sum(a)) / 4 for b, a in pairs],
        "loss-ratio": [sum(math.log(x / y) for x, y in zip(b, a, strict=True)) / 4 for b, a in pairs],
        "prompt-difference": [(sum(e) - sum(a)) / 4 for e, a in zip(empty, after, strict=True)],
    }
    for name, expected in slow.items():
        assert found[name].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_pia_and_secmi_are_those_of_their_definitions(
    base: DiffusersBase, adapter: Adapter, probing: Probing, private_images: Images
) -> None:
    photo, bars = base.encode(private_images)[0], base.schedule.alphas_cumprod
    levels = len(bars)

    def mixed(clean: Tensor, noise: Tensor, timestep: int) -> Tensor:
        return math.sqrt(bars[timestep]) * clean + math.sqrt(1 - bars[timestep]) * noise

    def moved(noisy: Tensor, here: int, there: int) -> Tensor:
        noise = _predict(base, noisy, here, _PROMPT)
        clean = (noisy - math.sqrt(1 - bars[here]) * noise) / math.sqrt(bars[here])
        return mixed(clean, noise, there)

    with torch.no_grad(), base.adapted(adapter):
        seen = _predict(base, photo, 0, _PROMPT)
        later = int(0.2 * levels)
        pia = (seen - _predict(base, mixed(photo, seen, later), later, _PROMPT)).abs().pow(4).sum().pow(0.25)
        steps = [int(0.01 * k * levels) for k in range(12)]
        noisy = photo
        for here, there in pairwise(steps[:11]):
            noisy = moved(noisy, here, there)
        back = moved(moved(noisy, steps[10], steps[11]), steps[11], steps[10])
        assert PHOTO_SCORES["pia"](probing, photo[None]).item() == pytest.approx(-float(pia), rel=1e-3)
        expected = -float((back - noisy).square().sum())
        assert PHOTO_SCORES["secmi"](probing, photo[None]).item() == pytest.approx(expected, rel=2e-2)


def test_the_noise_is_the_same_for_every_photo_and_every_call(
    base: DiffusersBase, probing: Probing, private_images: Images
) -> None:
    latents = base.encode(private_images)
    together = probing.errors(latents)
    assert torch.allclose(probing.errors(latents[1:2]), together[1:2], atol=1e-6)
