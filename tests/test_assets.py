"""What is shipped tells nothing about the machine that made it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loraleak.adapters import load_adapter
from loraleak.arms import select_arms
from loraleak.assets import BUILD, DEMO, POCKET_KIT
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.bases import load_base
from loraleak.embedders import load_embedder
from loraleak.kits import SamplingSetup, attack_for, controls_for, read_kit

ASSETS = BUILD.parent


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("file", sorted(ASSETS.rglob("*config.json")), ids=lambda file: str(file.relative_to(ASSETS)))
def test_configs_hold_no_path(file: Path) -> None:
    texts = list(_texts(json.loads(file.read_text("utf-8"))))
    assert "_name_or_path" not in texts
    assert not any(text.startswith(("/", "~", "\\")) for text in texts)


def test_the_recorded_quality_is_that_of_what_ships_and_meets_its_bars() -> None:
    built = json.loads(BUILD.read_text("utf-8"))
    assert built["base_sha256"] == load_base("pocket", device="cpu").sha256
    metrics = built["metrics"]
    assert metrics["autoencoder"]["psnr_db"] >= 28
    assert metrics["embedder"]["auc"] >= 0.99 and metrics["embedder"]["rank1"] >= 0.95
    assert metrics["base"]["captions"] == 500
    assert all(share["mean"] >= 0.85 for share in metrics["base"]["right"].values())


def test_controls_fit_what_ships_and_the_defaults_of_an_audit() -> None:
    settings = AuditSettings()
    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    attack = attack_for(base)
    assert attack is not None
    sampling = SamplingSetup(
        base.sha256, embedder.name, settings.class_prompt, settings.steps, settings.guidance_scale, attack.sha256
    )
    controls = controls_for(sampling)
    assert controls is not None and len(controls) == 99
    assert set(controls.arms) == {arm.name for arm in select_arms() if arm.role == "attack"}


def test_pockets_kit_is_pockets_and_of_nobody_real() -> None:
    kit = read_kit(POCKET_KIT)
    assert kit.is_for(load_base("pocket", device="cpu"))
    assert kit.card.people.attack == 2300 and len(kit.people) == kit.card.people.templates == 200
    assert "nobody real" in kit.card.source and kit.card.quality is not None
    assert kit.sensitivity is not None and kit.calibration is not None


def test_the_attack_is_small_and_reads_the_demo() -> None:
    assert POCKET_KIT.stat().st_size <= 10e6
    attack = attack_for(load_base("pocket", device="cpu"))
    assert attack is not None and attack.kind == "invariant" and attack.knowledge == "file"
    adapter = load_adapter(DEMO / "adapter.safetensors")
    own = attack.encode([adapter]).mean[0]
    assert (own - attack.mean_z).square().mean() > 0.1 * attack.others.var(0).mean()


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file()) < 32e6
