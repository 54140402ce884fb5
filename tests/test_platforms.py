"""docs/platforms.md, taken at its word: its snippets are run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from loraleak.cli import main

_ROOT = Path(__file__).parents[1]
_STEM = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


def _snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (_ROOT / "docs" / "platforms.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file for each of the first three exit codes."""
    tensors = {f"{_STEM}.lora_down.weight": torch.ones(2, 768), f"{_STEM}.lora_up.weight": torch.ones(640, 2)}
    found = {name: tmp_path / f"{name}.safetensors" for name in ("clean", "telling", "pickle")}
    save_file(tensors, found["clean"])
    save_file(tensors, found["telling"], {"ss_output_name": "anna"})
    found["pickle"].write_bytes(b"PK\x03\x04" + bytes(40))
    return found


def _shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs a step, with this interpreter's `loraleak`."""
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / "loraleak"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m loraleak "$@"\n')
    command.chmod(0o755)
    paths = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(_ROOT / "src")}
    environment = {**os.environ, **paths, **variables}
    return subprocess.run(["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_python_gate(files: dict[str, Path]) -> None:
    (code,) = _snippets("python")
    names: dict[str, Any] = {}
    exec(code, names)
    passed, said = names["gate"](str(files["telling"]))
    assert not passed and said == ["ss_output_name: Says what its maker called the file: “anna”."]
    assert names["gate"](str(files["clean"])) == (True, [])
    passed, (fault,) = names["gate"](str(files["pickle"]))
    assert not passed and "it is a pickle" in fault


@pytest.mark.parametrize(("upload", "does"), [("clean", "accepted"), ("telling", "asked facts.json"), ("pickle", "rejected")])
def test_the_shell_gate(files: dict[str, Path], tmp_path: Path, upload: str, does: str) -> None:
    script, _ = _snippets("sh")
    stubs = (
        'accept() { echo accepted; }; ask_uploader() { echo "asked $1"; }; reject() { echo rejected; }; hold() { echo held; }; '
    )
    run = _shell(f"set +e; {stubs}\n{script}", tmp_path, UPLOAD=str(files[upload]))
    assert run.stdout.strip() == does, run.stderr
    if upload != "pickle":
        assert json.loads((tmp_path / "facts.json").read_text())["schema"] == "loraleak.inspect/1"


def test_the_question_whether_a_file_opens_on_one_person(files: dict[str, Path], tmp_path: Path) -> None:
    _, script = _snippets("sh")
    on_pocket, _ = script.strip().splitlines()
    run = _shell(on_pocket, tmp_path, UPLOAD=str(files["pickle"]))
    assert run.returncode == 2 and "it is a pickle" in run.stderr


def test_the_pre_commit_hook(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (hook,) = yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (asked,) = yaml.safe_load(_snippets("yaml")[0])["repos"][0]["hooks"]
    assert asked["id"] == hook["id"] and hook["language"] == "python"
    assert re.search(hook["files"], "loras/anna.safetensors") and re.search(hook["files"], "anna.ckpt")
    assert not re.search(hook["files"], "README.md")
    program, *verb = hook["entry"].split()
    assert program == "loraleak"
    for arguments in (hook["args"], asked["args"]):
        assert main([*verb, *arguments, str(files["clean"])]) == 0
        assert main([*verb, *arguments, str(files["clean"]), str(files["telling"])]) == 1
        assert main([*verb, *arguments, str(files["pickle"]), str(files["telling"])]) == 4
    assert "it is a pickle" in capsys.readouterr().err


@pytest.mark.skipif(
    shutil.which("git") is None and not os.environ.get("CI"), reason="no git, which the step asks for the files"
)
def test_the_github_action(files: dict[str, Path], tmp_path: Path) -> None:
    workflow = yaml.safe_load(_snippets("yaml")[1])
    steps = workflow["jobs"]["inspect"]["steps"]
    (step,) = (step["run"] for step in steps if "ls-files" in step.get("run", ""))
    (upload,) = (step for step in steps if "upload-sarif" in step.get("uses", ""))
    started = "git init -q . && git add -- *.safetensors\n"
    failed = _shell(started + step, tmp_path)
    assert failed.returncode == 123 and "it is a pickle" in failed.stderr
    (run,) = json.loads((tmp_path / upload["with"]["sarif_file"]).read_text())["runs"]
    assert [artifact["location"]["uri"] for artifact in run["artifacts"]] == ["clean.safetensors", "telling.safetensors"]
    assert [result["level"] for result in run["results"]] == ["warning"]
    left = _shell("git rm -q -f pickle.safetensors telling.safetensors\n" + step, tmp_path)
    assert left.returncode == 0, left.stderr


def test_our_own_action(files: dict[str, Path], tmp_path: Path) -> None:
    action = yaml.safe_load((_ROOT / "action.yml").read_text("utf-8"))
    (step,) = (step for step in action["runs"]["steps"] if step.get("id") == "inspect")
    assert set(step["env"]) == {"FILES", "FAIL_ON", "SARIF"}
    for names, sarif, code in (("clean", "", 0), ("clean telling", "found.sarif", 1), ("telling pickle", "", 4)):
        told = tmp_path / "told"
        asked = {"FILES": " ".join(str(files[name]) for name in names.split()), "FAIL_ON": "high", "SARIF": sarif}
        assert _shell(step["run"], tmp_path, GITHUB_OUTPUT=str(told), **asked).returncode == code
        assert told.read_text("utf-8").splitlines()[-1] == f"exit-code={code}"
    assert json.loads((tmp_path / "found.sarif").read_text("utf-8"))["version"] == "2.1.0"
