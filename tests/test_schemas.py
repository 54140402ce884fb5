"""What the command line prints as JSON, held against the schemas that ship."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loraleak.assets import DEMO, POCKET_KIT
from loraleak.cli import main
from loraleak.kits import read_kit, save_kit
from loraleak.reporting import LEVELS, DefenceStudy, Report


def _validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((files("loraleak") / "schemas" / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    main([*map(str, arguments), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def _refused(name: str, plain: dict[str, Any], broken: Callable[[dict[str, Any]], object]) -> None:
    copy = json.loads(json.dumps(plain))
    broken(copy)
    with pytest.raises(jsonschema.ValidationError):
        _validator(name).validate(copy)


def test_levels_are_those_of_a_verdict() -> None:
    schema = _validator("report").schema
    assert schema["properties"]["verdict"]["properties"]["level"]["enum"] == list(LEVELS)


def test_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ("--images", 2, "--steps", 2, "--arms", "lora-class", "--device", "cpu", "-o", tmp_path / "report")
    plain = _printed(capsys, "audit", DEMO / "adapter.safetensors", "--photos", DEMO / "photos", *quick)
    _validator("report").validate(plain)
    _refused("report", plain, lambda report: report["verdict"].update(level="medium"))
    _refused("report", plain, lambda report: report["arms"]["lora-class"].pop("similarity"))
    _refused("report", plain, lambda report: report["photos"][0].update(exposure=None))


def test_a_report_of_hostile_texts_and_defences(report: Report, study: DefenceStudy) -> None:
    plain = json.loads(json.dumps(replace(report, defences=study).to_json()))
    _validator("report").validate({**plain, "added": "later"})
    _refused("report", plain, lambda report: report["defences"][1].update(trained_against="perhaps"))


def test_an_inspection(capsys: pytest.CaptureFixture[str]) -> None:
    plain = _printed(capsys, "inspect", DEMO / "adapter.safetensors")
    _validator("inspect").validate(plain)
    _refused("inspect", plain, lambda found: found["modules"][0].update(rank=0))
    _refused("inspect", plain, lambda found: found.pop("counts"))


def test_a_clean_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for defence in ((), ("--defence", "scaling:factor=0.5")):
        plain = _printed(
            capsys, "scrub", DEMO / "adapter.safetensors", "-o", tmp_path / "out.safetensors", "--overwrite", *defence
        )
        _validator("scrub").validate(plain)
    _refused("scrub", plain, lambda done: done.update(sha256_after="unknown"))


def test_the_card_of_a_kit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = read_kit(POCKET_KIT).without_templates()
    save_kit(replace(bare, card=replace(bare.card, quality=None)), tmp_path / "bare.safetensors")
    for kit in ("pocket", tmp_path / "bare.safetensors"):
        plain = _printed(capsys, "kit", "show", kit)
        _validator("kit").validate(plain)
        _refused("kit", plain, lambda shown: shown["card"].pop("licence"))
        _refused("kit", plain, lambda shown: shown.update(controls=-1))
        _refused("kit", plain, lambda shown: shown["card"].update(base_sha256="../etc"))
