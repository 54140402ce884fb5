"""SMP-LoRA: the ratio, its attacker, and what is left where the attacker does not count."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loraleak.bases import DiffusersBase
from loraleak.defences.training.proxies import Proxies
from loraleak.defences.training.smp_lora import SmpLora, SmpTrainer
from loraleak.errors import UsageError
from loraleak.finetuning.class_images import class_images
from loraleak.finetuning.recipe import Recipe
from loraleak.finetuning.stacked import Job, Snapshot, finetune_together
from loraleak.types import Images

_RECIPE = Recipe(trigger="zqkv", rank=2, alpha=2.0, steps=4, class_count=4, prior_batch=1, batch=2, learning_rate=1e-2)


def _in_double(base: DiffusersBase) -> DiffusersBase:
    class_images(base, _RECIPE)
    base.unet.double()
    base.text_encoder.double()
    return base


def _apart(one: Snapshot, other: Snapshot) -> float:
    return max(float((f.up - other.adapter.factors[n].up).abs().max()) for n, f in one.adapter.factors.items())


def test_an_attacker_learns_what_tells_members() -> None:
    rng = np.random.default_rng(0)
    proxies = Proxies([0, 1], torch.zeros(1, dtype=torch.float64), 0.01)
    before = proxies.values.clone()

    def drawn(shift: float) -> torch.Tensor:
        return torch.from_numpy(np.stack([rng.normal([s, 0.5], [1, 0.2], (64, 2)) for s in (shift, 0.0)]))

    for _ in range(300):
        proxies.train(drawn(-3), drawn(0.0))
    gain = proxies.gain(drawn(-3), drawn(0.0), proxies.values)
    assert gain[0] > -0.35 and abs(float(gain[1]) + log(2)) < 0.05  # the second adapter's members are like the others
    assert not torch.equal(before, proxies.values)


def test_the_loss_is_the_ratio(base: DiffusersBase, private_images: Images) -> None:
    """Of DreamBooth's loss to what is left of the attacker's gain, by the same draws."""
    base = _in_double(base)
    job = Job(private_images, _RECIPE)
    training = SmpTrainer(base, [job], settings=SmpLora(weight=3.0), nonmembers=private_images[::-1].copy())
    training.step(1)
    values, before = training.proxies.values.clone(), training.stack.values.clone()
    given = training.differentiate(2)
    assert torch.equal(training.stack.values, before) and not torch.equal(values, training.proxies.values)
    latents, noise, times, states = training.examples(2)
    others = (training._others(2), noise[:, :2], times[:, :2], states[:, :2], training.debiased)
    plain = training.errors(latents, noise, times, states, training.debiased), training.errors(*others)
    with base.stacked(training.stack):
        error, beside = training.errors(latents, noise, times, states, training.debiased), training.errors(*others)
    level = times[:, :2].double() / base.noise_levels
    members = torch.stack([(error / plain[0])[:, :2].log(), level], dim=2)
    gain = training.proxies.gain(members, torch.stack([(beside / plain[1]).log(), level], dim=2), values)
    expected = (error[:, :2].mean(1) + error[:, 2:].mean(1)) / (1 - 3.0 * gain)
    assert torch.allclose(given, expected, rtol=1e-10) and gain < 0


def test_an_attacker_that_does_not_count_changes_nothing(base: DiffusersBase, private_images: Images) -> None:
    base = _in_double(base)
    jobs = [Job(private_images, _RECIPE)]
    (plain,) = finetune_together(base, jobs, quiet=True)
    (idle,) = SmpLora(weight=0.0).finetune_together(base, jobs, quiet=True)
    (defended,) = SmpLora(weight=20.0).finetune_together(base, jobs, quiet=True)
    assert _apart(plain, idle) < 1e-9 < 1e-5 < _apart(plain, defended)


def test_an_adapter_does_not_depend_on_its_company(base: DiffusersBase, private_images: Images) -> None:
    base = _in_double(base)
    jobs = [Job(private_images, replace(_RECIPE, seed=k, steps=2 + k)) for k in range(3)]
    together = {s.job: s for s in SmpLora().finetune_together(base, jobs, quiet=True)}
    (alone,) = SmpLora().finetune_together(base, [jobs[1]], quiet=True)
    assert together[1].step == alone.step == 3 and _apart(together[1], alone) < 1e-9


def test_public_people_come_from_a_folder(base: DiffusersBase, private_images: Images, tmp_path: Path) -> None:
    for person in ("a", "b"):
        (tmp_path / person).mkdir()
        Image.fromarray(private_images[0]).save(tmp_path / person / "0.png")
    jobs = [Job(private_images, replace(_RECIPE, prior_batch=0, class_count=0))]
    (snapshot,) = SmpLora(nonmembers=str(tmp_path)).finetune_together(base, jobs, quiet=True)
    assert any(f.up.abs().sum() > 0 for f in snapshot.adapter.factors.values())
    with pytest.raises(UsageError, match="no images to compare with: give nonmembers=FOLDER"):
        next(SmpLora().finetune_together(base, jobs, quiet=True))


def test_settings_and_promise() -> None:
    assert SmpLora().guarantee(_RECIPE, 5).says.startswith("no guarantee")
    with pytest.raises(UsageError, match=r"weight is -1, .*; attacker_rate is 0, .*; attacker_steps is 0"):
        SmpLora(weight=-1.0, attacker_rate=0.0, attacker_steps=0)
