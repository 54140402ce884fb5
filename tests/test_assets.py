"""What is shipped tells nothing about the machine that made it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import loraleak
from loraleak.auditing.controls import Sampling, load_controls
from loraleak.auditing.settings import AuditSettings
from loraleak.bases import load_base
from loraleak.embedders import load_embedder

ASSETS = Path(loraleak.__file__).parent / "assets"


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
    built = json.loads((ASSETS / "build.json").read_text("utf-8"))
    assert built["base_sha256"] == load_base("pocket", device="cpu").sha256
    metrics = built["metrics"]
    assert metrics["autoencoder"]["psnr_db"] >= 28
    assert metrics["embedder"]["auc"] >= 0.99 and metrics["embedder"]["rank1"] >= 0.95
    assert metrics["base"]["captions"] == 500
    assert all(share["mean"] >= 0.85 for share in metrics["base"]["right"].values())


def test_controls_fit_what_ships_and_the_defaults_of_an_audit() -> None:
    settings = AuditSettings()
    base, embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
    sampling = Sampling(base.sha256, embedder.name, settings.class_prompt, settings.steps, settings.guidance_scale)
    controls = load_controls(sampling)
    assert controls is not None and len(controls) == 99


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file()) < 30e6
