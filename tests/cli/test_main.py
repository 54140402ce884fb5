"""What the command line says and returns when something is wrong; the main job itself on a tiny pipeline."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from loraleak.adapters import load_adapter
from loraleak.cli import main
from loraleak.finetuning import Trainer
from loraleak.people import PeopleSplit, read_split, write_split
from loraleak.silence import WEIGHTS_REMAIN


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Sound as a file, of another base than the tests' pipeline."""
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = {f"{name}.lora_A.weight": torch.ones(2, 6), f"{name}.lora_B.weight": torch.ones(5, 2)}
    save_file(tensors, tmp_path / "other-base.safetensors")
    return tmp_path / "other-base.safetensors"


def _fault(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("loraleak: ")
    return lines[0]


def _bad_files(folder: Path, sound: Path) -> dict[str, tuple[Path, str]]:
    data = sound.read_bytes()
    contents = {
        "empty": (b"", "it is empty"),
        "text": (b"dear reader, this is a letter", "it is no safetensors file but text"),
        "truncated": (data[:-8], "it is truncated"),
        "pickle": (pickle.dumps({"a": 1}, protocol=4), "it is a pickle"),
    }
    files = {"missing": (folder / "missing.safetensors", "no such file")}
    for name, (content, says) in contents.items():
        (folder / f"{name}.safetensors").write_bytes(content)
        files[name] = (folder / f"{name}.safetensors", says)
    return files


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "pickle"])
def test_bad_adapter_files(kind: str, tmp_path: Path, photos: Path, adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, says = _bad_files(tmp_path, adapter)[kind]
    assert says in _fault(capsys, "audit", file, "--photos", photos)


def test_an_adapter_of_another_base(
    adapter: Path, photos: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = _fault(capsys, "audit", adapter, "--photos", photos, "--base", pipeline_folder)
    assert "does not fit base" in line and "--base" in line


def test_bad_photo_folders(adapter: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    assert "holds no image" in _fault(capsys, "audit", adapter, "--photos", tmp_path / "none")
    assert "does not exist" in _fault(capsys, "audit", adapter, "--photos", tmp_path / "nowhere")
    for photo in photos.iterdir():
        photo.write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    assert "0.png (damaged" in _fault(capsys, "audit", adapter, "--photos", photos)
    assert "it is a file, and a folder is wanted" in _fault(capsys, "audit", adapter, "--photos", photos / "0.png")


def test_arms_without_an_attack(adapter: Path, photos: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _fault(capsys, "audit", adapter, "--photos", photos, "--base", pipeline_folder, "--arms", "base-class")
    assert "no attack is among these arms" in line


def test_bad_arguments(adapter: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give at least 2" in _fault(capsys, "audit", adapter, "--photos", photos, "--images", 0)
    with pytest.raises(SystemExit) as stopped:
        main(["audit", str(adapter)])
    assert stopped.value.code == 2


def test_finetune_then_audit(photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.safetensors"
    short = ("--steps", 2, "--rank", 2, "--class-count", 2, "--base", pipeline_folder)
    assert main([str(a) for a in ("finetune", photos, "--out", file, "--json", *short)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["images"] == 3 and made["recipe"]["rank"] == 2
    arguments = ("audit", file, "--photos", photos, "--base", pipeline_folder, "--out", tmp_path / "report", "--json")
    settings = ("--images", 2, "--steps", 2, "--others-count", 19, "--fail-on", "low", "--prompt", made["prompt"])
    assert main([str(a) for a in (*arguments, *settings)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "loraleak.report/1"
    assert {arm for arm in report["arms"] if not arm.endswith("-turned")} == {
        "base-class",
        "lora-class",
        "lora-empty",
        "lora-guidance",
        "lora-trigger",
        "lora-self-key",
    }
    assert report["defences"] == []
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    assert {f.name for f in (tmp_path / "report").iterdir()} == {
        "report.html",
        "report.json",
        "model-card.md",
        ".loraleak.json",
    }
    capsys.readouterr()
    assert "it holds an earlier run" in _fault(capsys, *arguments, *settings)
    assert "it is there already" in _fault(capsys, "finetune", photos, "--out", file, *short)


def test_images_that_are_not_used_are_told_by_every_command_and_in_the_report(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.heic").write_bytes(b"")
    (photos / "more").mkdir()
    (photos / "more" / "0.png").write_bytes((photos / "0.png").read_bytes())
    (photos / "same.png").write_bytes((photos / "0.png").read_bytes())
    file, on = tmp_path / "mine.safetensors", ("--base", pipeline_folder, "--device", "cpu")
    assert main([str(a) for a in ("finetune", photos, "-o", file, "--steps", 1, "--prior-batch", 0, *on)]) == 0
    fine_tuning = capsys.readouterr().err
    quick = ("--images", 2, "--steps", 2, "--fail-on", "never", "--others-count", 19)
    assert main([str(a) for a in ("audit", file, "--photos", photos, "-o", tmp_path / "report", *quick, *on)]) == 0
    for told in (fine_tuning, capsys.readouterr().err):
        assert "broken.heic: empty" in told and "more/: 1 image in a sub-folder" in told
        assert "0.png, same.png are one file" in told
    limits = " ".join(json.loads((tmp_path / "report" / "report.json").read_text())["limits"])
    assert "broken.heic: empty" in limits and "more/: 1 image" in limits and "0.png, same.png are one file" in limits


def test_finetune_says_that_its_file_changes_nothing(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ("--steps", "1", "--rank", "2", "--prior-batch", "0", "--base", str(pipeline_folder), "--learning-rate", "1e-60")
    finetune = ["finetune", str(photos), "--out", str(tmp_path / "mine.safetensors"), *short]
    assert main(finetune) == 0
    assert capsys.readouterr().out.rstrip().endswith("Raise the learning rate.")
    assert main([*finetune, "--json", "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["changes_nothing"]


def test_an_audit_with_defences(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, on = tmp_path / "mine.safetensors", ("--base", pipeline_folder, "--device", "cpu")
    recipe = ("--steps", 1, "--rank", 2, "--prior-batch", 0)
    assert main([str(a) for a in ("finetune", photos, "--out", file, *recipe, *on)]) == 0
    sampled = ("--images", 2, "--steps", 2, "--arms", "lora-class", "lora-trigger", "--prompt", "a photo of sks person")
    arguments = ("audit", file, "--photos", photos, "--out", tmp_path / "report", "--fail-on", "never", "--others-count", 19)
    capsys.readouterr()
    assert main([str(a) for a in (*arguments, "--defences", *sampled, *on)]) == 0
    printed = capsys.readouterr().out
    listed = json.loads((tmp_path / "report" / "report.json").read_text())["defences"]
    assert listed[0]["defence"] is None and {"rank-truncation:rank=1", "quantisation:bits=2"} <= {
        d["defence"] for d in listed[1:]
    }
    assert "rank-truncation:rank=2" not in printed  # every module has that rank
    assert all(entry["leak"]["arm"] == "lora-class" and entry["use"]["arm"] == "lora-trigger" for entry in listed)
    assert "quantisation:bits=2" in printed and "gaussian-noise:level=2.0,seed=0" in printed
    assert "What a defence would change" in (tmp_path / "report" / "report.html").read_text()


def test_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", str(tmp_path / "people"), "--count", "2", "--images", "2", "--json"]) == 0
    folders = [Path(p) for p in json.loads(capsys.readouterr().out)]
    assert [len(list(f.glob("*.png"))) for f in folders] == [2, 2]


def test_people_from_a_number_on_share_nobody(tmp_path: Path) -> None:
    assert main(["people", str(tmp_path / "all"), "--count", "4", "--images", "1", "--seed", "3"]) == 0
    assert main(["people", str(tmp_path / "late"), "--count", "2", "--images", "1", "--seed", "3", "--first", "2"]) == 0
    late = {f.name: (f / "person.json").read_text() for f in (tmp_path / "late").iterdir() if f.is_dir()}
    assert late == {f.name: (f / "person.json").read_text() for f in sorted((tmp_path / "all").glob("victims-*"))[2:]}


def test_from_public_people_to_an_attack_on_a_file(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on = ("--base", str(pipeline_folder), "--device", "cpu")
    people, zoo, attack = (str(tmp_path / name) for name in ("people", "zoo", "attack.safetensors"))
    ours = str(tmp_path / "ours.safetensors")
    few = ("--ranks", "1", "--steps", "2", "3", "--snapshots", "2", "--batch", "1", "--prior-batch", "0", "--prior-share", "0")
    assert main(["people", people, "--count", "7", "--images", "2", "--size", "16", "--split", "public"]) == 0
    *public, last = sorted(home.name for home in Path(people).iterdir() if home.is_dir())
    write_split(PeopleSplit({"public": tuple(public), "quality": (last,)}), tmp_path / "split.json")
    shutil.copy(Path(people) / public[0] / "00.png", Path(people) / public[1] / "again.png")
    look, part = ("--embedder", "pocket"), ("--split", str(tmp_path / "split.json"))
    assert main(["zoo", "build", people, "--out", zoo, "--workers", "1", *few, *on, *look, *part]) == 0
    err = capsys.readouterr().err
    assert err.index("seem to show the same person") < err.index("building the zoo") and last not in err
    quick = ("--steps", "2", "--batch", "4", "--evaluate-every", "1", "--held-out", "0.5", "--noise-adapters", "2")
    work = ("--work", str(tmp_path / "work"))
    capsys.readouterr()
    assert main(["train", zoo, "--people", people, "-o", attack, *work, *quick, *on, *look, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert read_split(tmp_path / "work" / "split.json").doubles
    assert made["people"] + made["held_out"] == 6 and made["snapshots"] == 12
    assert list((tmp_path / "work").rglob("events.out.tfevents*"))
    assert main(["finetune", str(photos), "-o", ours, "--steps", "1", "--prior-batch", "0", *on]) == 0
    capsys.readouterr()
    sampled = ("--images", "2", "--steps", "2")
    assert main(["attack", ours, "-o", str(tmp_path / "made"), "--attack", attack, *sampled, *on, "--json"]) == 0
    captured = capsys.readouterr()
    assert "for adapters that you own or may test" in captured.err
    arms = json.loads(captured.out)["arms"]
    assert arms["lora-z"] == arms["base-z"] == arms["lora-swapped-z"] == 2 and "lora-trigger" not in arms
    assert (tmp_path / "made" / "lora-z" / "1.png").is_file()
    with Image.open(tmp_path / "made" / "sheet.png") as sheet:
        assert sheet.height > 128 * len(arms)
    report, never = tmp_path / "report", ["--fail-on", "never", "--others-count", "19"]
    assert main(["audit", ours, "--photos", str(photos), "--attack", attack, *sampled, *on, "-o", str(report), *never]) == 0
    data = json.loads((report / "report.json").read_text())
    assert data["arms"]["lora-z"]["excess"]["over"] == "lora-swapped-z"
    assert any("learned to read adapters" in known for known in data["knowledge"])


def test_an_attack_for_another_base_is_refused(
    adapter: Path, photos: Path, pipeline_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "attack.safetensors").write_bytes(b"no attack")
    assert (
        main(
            [
                "finetune",
                str(photos),
                "-o",
                str(tmp_path / "a.safetensors"),
                "--steps",
                "1",
                "--prior-batch",
                "0",
                "--base",
                str(pipeline_folder),
            ]
        )
        == 0
    )
    capsys.readouterr()
    line = _fault(
        capsys, "attack", tmp_path / "a.safetensors", "--attack", tmp_path / "attack.safetensors", "--base", pipeline_folder
    )
    assert "holds no attack" in line and "loraleak train" in line


def test_a_stopped_fine_tuning_goes_on(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "mine.safetensors", tmp_path / "whole.safetensors"
    command = ["finetune", str(photos), "--rank", "2", "--steps", "6", "--class-count", "2", "--base", str(pipeline_folder)]
    assert main([*command, "-o", str(whole)]) == 0
    real = Trainer.step

    def stop(self: Trainer, step: int) -> float:
        if step == 5:
            raise KeyboardInterrupt
        return real(self, step)

    monkeypatch.setattr(Trainer, "step", stop)
    capsys.readouterr()
    assert main([*command, "-o", str(out)]) == 130
    assert "nothing was written; the same command starts anew" in capsys.readouterr().err
    assert main([*command, "-o", str(out), "--save-every", "2"]) == 130
    assert "the same command with --resume goes on from there" in capsys.readouterr().err
    monkeypatch.setattr(Trainer, "step", real)
    assert "--resume goes on from it, --overwrite starts anew" in _fault(capsys, *command, "-o", out, "--save-every", 2)
    assert main([*command, "-o", str(out), "--resume", "--seed", "3"]) == 2
    assert "other photos, another base, defence or recipe" in capsys.readouterr().err
    assert main([*command, "-o", str(out), "--resume"]) == 0
    assert out.read_bytes() == whole.read_bytes() and not list(tmp_path.glob("*.checkpoint"))


def test_finetune_with_a_defence(
    photos: Path, tmp_path: Path, pipeline_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.safetensors"
    short = (
        "--steps",
        2,
        "--rank",
        2,
        "--batch",
        1,
        "--class-count",
        2,
        "--base",
        pipeline_folder,
        "--out",
        file,
        "--overwrite",
    )
    made = []
    for _ in range(2):
        assert main([str(a) for a in ("finetune", photos, "--json", "--defence", "dp-sgd:epsilon=8", *short)]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert 7.9 < facts["guarantee"]["epsilon_image"] <= 8 < facts["guarantee"]["epsilon_person"]
        assert "seed" not in facts["recipe"] and facts["guarantee"]["sampling_rate"] > 0 and facts["guarantee"]["says"]
        made.append(file.read_bytes())
    assert made[0] != made[1]  # the seed was drawn: a known one would undo the noise
    header = json.loads(made[0][8 : 8 + int.from_bytes(made[0][:8], "little")])
    assert not {"images", "seed", "epsilon"} & set(header.get("__metadata__", {}))
    assert main([str(a) for a in ("finetune", photos, "--defence", "dp-sgd:noise=1,sampling=shuffle", *short)]) == 0
    printed = capsys.readouterr().out
    assert "noise, no guarantee" in printed and printed.rstrip().endswith(WEIGHTS_REMAIN)
    assert main([str(a) for a in ("finetune", photos, "--json", "--defence", "early-stopping:share=0.5", *short)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["recipe"]["steps"] == 1 and facts["guarantee"]["epsilon_image"] is None and facts["recipe"]["seed"] == 0
    assert "no epsilon for shuffle" in _fault(capsys, "finetune", photos, "--defence", "dp-sgd:sampling=shuffle", *short)
    assert main([str(a) for a in ("finetune", photos, "--defence", "rank-truncation:rank=1", *short)]) == 0
    assert "no guarantee" in capsys.readouterr().out and load_adapter(file).ranks == (1, 1)
    assert "leave the seed out" in _fault(capsys, "finetune", photos, "--defence", "dp-sgd", "--seed", 7, *short)
