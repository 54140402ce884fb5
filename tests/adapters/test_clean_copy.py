"""The copy is read by safetensors itself, and by nothing of ours."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import clean_copy as scrubbing
from loraleak.adapters import load_adapter, save_adapter, scrub_header
from loraleak.adapters.clean_copy import backed_up
from loraleak.adapters.header import header_findings
from loraleak.errors import AdapterError, UsageError
from loraleak.types import Adapter

_METADATA = {
    "ss_tag_frequency": '{"10_jane": {"jane": 3}}',
    "ss_steps": "100",
    "ss_learning_rate": "None",
    "ss_base_model_version": "sd_v1",
}


@pytest.fixture
def kohya(tmp_path: Path, normal: Callable[..., Tensor]) -> Path:
    """A layout that needs no reading: several types, a scalar, names in no order."""
    tensors = {
        "lora_unet_z.lora_up.weight": normal(6, 2).half(),
        "lora_unet_a.lora_down.weight": normal(2, 5).bfloat16(),
        "lora_unet_a.alpha": torch.tensor(4.0),
        "what is this": normal(3).double(),
        "float8": normal(3).to(torch.float8_e5m2),
        "no number": torch.tensor([float("nan"), float("-inf")]),
        "positions": torch.arange(77)[None],
        "flags": torch.tensor([True, False]),
    }
    save_file(tensors, tmp_path / "kohya.safetensors", _METADATA)
    return tmp_path / "kohya.safetensors"


def _parts(file: Path) -> tuple[dict[str, object], bytes]:
    data = file.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return header, data[8 + size :]


def _same_tensors(one: Path, other: Path) -> None:
    assert _parts(one) == _parts(other)
    with safe_open(one, "pt") as a, safe_open(other, "pt") as b:
        assert a.keys() == b.keys()
        for name in a.keys():  # noqa: SIM118
            assert a.get_tensor(name).dtype == b.get_tensor(name).dtype
            ours, theirs = (file.get_tensor(name).reshape(-1).view(torch.uint8) for file in (a, b))
            assert torch.equal(ours, theirs)


def test_any_layout_keeps_its_tensors_and_loses_its_secrets(kohya: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.safetensors"
    done = scrub_header(kohya, out)
    _same_tensors(kohya, out)
    with safe_open(out, "pt") as file:
        assert file.metadata() == {"ss_base_model_version": "sd_v1"}
    assert [(r.field, r.severity) for r in done.removed] == [
        ("ss_tag_frequency", "critical"),
        ("ss_steps", "high"),
        ("ss_learning_rate", None),
    ]
    assert done.kept == ("ss_base_model_version",) and done.tensors == 8
    assert b"jane" not in out.read_bytes()
    assert [f.name for f in out.parent.iterdir()] == ["out.safetensors"]
    assert scrub_header(out, tmp_path / "again.safetensors").sha256_after == done.sha256_after


def test_real_files(loras: Path, tmp_path: Path) -> None:
    for file in sorted(loras.glob("*.safetensors")):
        scrub_header(file, tmp_path / file.name)
        _same_tensors(file, tmp_path / file.name)
        with safe_open(tmp_path / file.name, "pt") as copy:
            left = {field: value for field, value in (copy.metadata() or {}).items() if value != "<embed>"}
        assert header_findings(left) == ()


def test_fields_that_are_named_stay(kohya: Path, tmp_path: Path) -> None:
    done = scrub_header(kohya, tmp_path / "out.safetensors", ("ss_steps",))
    assert done.kept == ("ss_base_model_version", "ss_steps")


def test_a_header_of_nothing_public_is_left_without_metadata(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "in.safetensors", {"author": "jane"})
    scrub_header(tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert file.metadata() is None


def test_a_peft_folder_keeps_its_scale_and_loses_its_paths(unet_adapter: Adapter, tmp_path: Path) -> None:
    folder, out = tmp_path / "jane", tmp_path / "out"
    save_adapter(unet_adapter, folder, "peft")
    config = json.loads((folder / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "/home/jane/sd", "revision": "main"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "training_args.bin").write_bytes(b"jane")
    done = scrub_header(folder, out)
    assert {f.name for f in out.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    _same_tensors(folder / "adapter_model.safetensors", out / "adapter_model.safetensors")
    assert "base_model_name_or_path" not in json.loads((out / "adapter_config.json").read_text())
    assert [(r.field, r.severity) for r in done.removed] == [
        ("adapter_config.json: base_model_name_or_path", "medium"),
        ("adapter_config.json: revision", "medium"),
    ]
    assert "training_args.bin" in " ".join(done.remarks)
    before, after = load_adapter(folder), load_adapter(out)
    assert {n: f.scale for n, f in before.factors.items()} == {n: f.scale for n, f in after.factors.items()}
    assert header_findings(after.metadata) == ()


def test_a_peft_folder_in_place(unet_adapter: Adapter, tmp_path: Path) -> None:
    folder = tmp_path / "jane"
    save_adapter(unet_adapter, folder, "peft")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with backed_up(folder) as backup:
        done = scrub_header(folder, folder)
    assert backup == tmp_path / "jane.backup"
    assert {file.name: file.read_bytes() for file in backup.iterdir()} == before
    assert {file.name for file in folder.iterdir()} == set(before)
    assert load_adapter(folder).sha256 == done.sha256_after
    with pytest.raises(UsageError, match="is there already"), backed_up(folder):
        pass


def test_what_fails_in_place_leaves_no_backup(unet_adapter: Adapter, tmp_path: Path) -> None:
    folder = tmp_path / "jane"
    save_adapter(unet_adapter, folder, "peft")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(UsageError, match="no field"), backed_up(folder):
        scrub_header(folder, folder, ("nothing",))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [f.name for f in tmp_path.iterdir()] == ["jane"]


def test_a_backup_stays_where_the_file_was_written_over(kohya: Path, tmp_path: Path) -> None:
    before = kohya.read_bytes()
    with pytest.raises(UsageError), backed_up(kohya):
        scrub_header(kohya, kohya)
        raise UsageError("late")
    assert (tmp_path / "kohya.safetensors.backup").read_bytes() == before != kohya.read_bytes()


def test_trigger_words_in_names_are_pointed_at(tmp_path: Path) -> None:
    tensors = {"<jane>": torch.ones(2), "bundle_emb.doe.string_to_param.*": torch.ones(2)}
    save_file(tensors, tmp_path / "in.safetensors", {"<jane>": "<embed>"})
    remarks = " ".join(scrub_header(tmp_path / "in.safetensors", tmp_path / "out.safetensors").remarks)
    assert "jane" in remarks and "doe" in remarks


def test_a_folder_where_a_file_must_be_and_the_other_way_round(kohya: Path, unet_adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(unet_adapter, tmp_path / "peft", "peft")
    with pytest.raises(UsageError, match=r"is a folder.*ends in \.safetensors"):
        scrub_header(kohya, tmp_path / "peft")
    with pytest.raises(UsageError, match="give the name of a folder"):
        scrub_header(tmp_path / "peft", kohya)


def test_a_copy_that_differs_is_never_put_in_place(kohya: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(old: bytes, metadata: object) -> bytes:
        entries = json.loads(old[8:])
        entries.pop("__metadata__", None)
        one, other = entries["lora_unet_z.lora_up.weight"], entries["what is this"]
        one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]
        text = json.dumps(entries).encode()
        return struct.pack("<Q", len(text)) + text

    monkeypatch.setattr(scrubbing, "_start", swapped)
    with pytest.raises(AdapterError, match="bit by bit"):
        scrub_header(kohya, tmp_path / "out.safetensors")
    assert [f.name for f in tmp_path.iterdir()] == [kohya.name]


def test_a_pickle_is_refused(loras: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="pickle"):
        scrub_header(loras / "refuse-me-pickle.bin", tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changes_meanwhile_is_not_copied(kohya: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scrubbing.public_metadata

    def late(*arguments: object) -> object:
        kohya.write_bytes(kohya.read_bytes()[:-1] + b"x")
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scrubbing, "public_metadata", late)
    with pytest.raises(AdapterError, match="changed while it was read"):
        scrub_header(kohya, tmp_path / "out.safetensors")
    assert [f.name for f in tmp_path.iterdir()] == [kohya.name]


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000])
def test_a_configuration_that_is_no_table_is_refused(text: str, unet_adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(unet_adapter, tmp_path / "in", "peft")
    (tmp_path / "in" / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterError, match="no readable JSON object"):
        scrub_header(tmp_path / "in", tmp_path / "out")
