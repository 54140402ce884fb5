"""Every way in which a file can be no usable safetensors, and what it says then."""

import hashlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from loraleak.adapters.container import read_container
from loraleak.errors import AdapterError


def _raw(header: bytes | dict[str, Any], body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _entry(shape: list[Any], offsets: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    count = 1
    for side in shape:
        count *= side
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, count * 4] if offsets is None else offsets}


_SOUND = save({"x": torch.ones(4, 4)})

_REFUSED = {
    "empty": (b"", "it is empty", "download"),
    "zip-pickle": (b"PK\x03\x04" + bytes(40), "is a pickle", "safetensors.torch.save_file"),
    "old-pickle": (pickle.dumps({"x": [1, 2, 3]}), "is a pickle", "ask its author"),
    "text": (b"Hello, this is no LoRA", "no safetensors file but text", "give the LoRA as"),
    "web-page": (b"<!DOCTYPE html><html><title>Sign in</title></html>", "it is a web page", "download the file again"),
    "error-answer": (b'{"error":"Unauthorized"}', "it is a JSON text", "read what it says"),
    "deep-error-answer": (b'{"data":{"error":"Unauthorized"}}', "it is a JSON text", "read what it says"),
    "xml-answer": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "it is an XML text", "download"),
    "lfs-pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "it is a Git LFS pointer", "git lfs pull"),
    "index": (b'{"metadata": {}, "weight_map": {}}', "the index of a model in several files", "that it names"),
    "gguf": (b"GGUF" + bytes(40), "it is a GGUF model", "made from"),
    "archive": (b"\x1f\x8b" + bytes(40), "it is a packed archive", "unpack it"),
    "short": (b"ab", "no safetensors file but text", "give the LoRA as"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "it is a picture", "give the LoRA as"),
    "noise": (bytes(range(1, 60)), "no safetensors file but another kind", "give the LoRA as"),
    "cut-body": (_SOUND[:-5], "truncated: 59 of 64 bytes", "again"),
    "cut-header": (_SOUND[:20], "truncated: its header has 12 of", "again"),
    "trailing": (_SOUND + b"xx", "2 bytes follow its last tensor", "again"),
    "huge-header": (struct.pack("<Q", 2**24 + 1) + b"{}", "more than 16 MiB", "give the LoRA as"),
    "no-json": (_raw(b'{"x": '), "header is not JSON", "again"),
    "no-utf8": (_raw(b'{"\xff": 1}'), "header is not UTF-8", "again"),
    "deep": (_raw(b'{"x": ' + b"[" * 200_000), "nested too deeply", "again"),
    "twice": (_raw(b'{"x": 1, "y": 2, "x": 3}'), "x stands there twice", "again"),
    "metadata": (_raw({"__metadata__": {"a": 1}}), "__metadata__ is not a table of texts", "again"),
    "entry": (_raw({"x": [1]}), "x is not described by dtype", "current tool"),
    "many": (
        _raw({str(i): _entry([], [0, 0]) for i in range(20_001)}),
        "20001 tensors, more than 20000",
        "not a whole",
    ),
    "dimensions": (_raw({"x": _entry([1] * 9)}, bytes(4)), "x has 9 dimensions, more than 8", "current tool"),
    "zero": (_raw({"x": _entry([0, 2**40])}), "x has a dimension of zero", "current tool"),
    "dtype": (_raw({"x": _entry([1], dtype="Q4")}), "x has the dtype Q4, not one of F64", "current tool"),
    "complex": (_raw({"x": _entry([1], [0, 8], dtype="C64")}, bytes(8)), "x has the dtype C64, not one of F64", "in float16"),
    "negative": (_raw({"x": _entry([-1], [0, 4])}), "no whole numbers", "current tool"),
    "bool": (_raw({"x": _entry([True], [0, 4])}, bytes(4)), "no whole numbers", "current tool"),
    "size": (_raw({"x": _entry([2], [0, 4])}, bytes(4)), "x has the wrong offsets for F32 [2]", "current tool"),
    "overlap": (
        _raw({"x": _entry([1], [0, 4]), "y": _entry([1], [2, 6])}, bytes(6)),
        "y has the wrong offsets",
        "again",
    ),
    "hole": (_raw({"x": _entry([1], [0, 4]), "y": _entry([1], [8, 12])}, bytes(12)), "leaves a hole", "again"),
    "long-name": (_raw({"x" * 600: _entry([1])}, bytes(4)), "a name of more than 512 characters", "current tool"),
    "nan": (save({"a.b": torch.tensor([1.0, float("nan")])}), "a.b holds NaN or infinity", "diverged"),
    "infinite": (save({"a.b": torch.tensor([float("-inf")]).half()}), "a.b holds NaN or infinity", "diverged"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_unusable_files_are_refused_in_one_line_with_the_remedy(case: str, tmp_path: Path) -> None:
    data, fault, remedy = _REFUSED[case]
    file = tmp_path / "lora.safetensors"
    file.write_bytes(data)
    with pytest.raises(AdapterError) as caught:
        dict(read_container(file).tensors)
    message = str(caught.value)
    assert fault in message
    assert remedy in message
    assert "lora.safetensors" in message
    assert message.isprintable()
    assert len(message) < len(str(file)) + 500


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no such file: give the path"):
        read_container(tmp_path / "absent.safetensors")
    with pytest.raises(AdapterError, match="it is not a file"):
        read_container(tmp_path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    file = tmp_path / "lora.safetensors"
    torch.save({"x": Trap()}, file)
    with pytest.raises(AdapterError, match="pickle"):
        read_container(file)
    assert not (tmp_path / "sprung").exists()


def test_many_faults_are_reported_at_once_and_hostile_names_are_made_harmless(tmp_path: Path) -> None:
    names = [f"\x1b[31m\u202ename{i}\n" for i in range(9)]
    file = tmp_path / "lora.safetensors"
    file.write_bytes(_raw({name: _entry([0]) for name in names}))
    with pytest.raises(AdapterError) as caught:
        read_container(file)
    message = str(caught.value)
    assert message.isprintable()
    assert r"\x1b[31m\u202ename0\n has" in message
    assert "and 4 more faults" in message
    assert len(caught.value.faults) == 9 and all(fault.isprintable() for fault in caught.value.faults)
    assert caught.value.path == str(file) and message.endswith(caught.value.remedy)


def test_a_sound_file_comes_as_stored(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(2, 3),
        "b": torch.randn(2, 3).half(),
        "c": torch.randn(4).bfloat16(),
        "d": torch.tensor(8.0, dtype=torch.float64),
        "e": torch.randn(2, 3).to(torch.float8_e4m3fn),
        "f": torch.randn(2, 3).to(torch.float8_e5m2),
        "g": torch.arange(77)[None],
        "h": torch.tensor([True, False]),
    }
    file = tmp_path / "lora.safetensors"
    file.write_bytes(save(tensors, {"ss_seed": "1"}))
    container = read_container(file)
    assert container.metadata == {"ss_seed": "1"}
    assert container.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert container.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(torch.from_numpy(container.tensors[name].astype("f8")), tensor.double())


def test_a_header_size_that_begins_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    header = json.dumps({"x": _entry([1])}).encode()
    file = tmp_path / "lora.safetensors"
    file.write_bytes(_raw(header + b" " * (0x280 - len(header)), bytes(4)))
    assert file.read_bytes()[:2] == b"\x80\x02"
    assert read_container(file).tensors["x"].shape == (1,)


def test_tensors_are_read_one_at_a_time_and_a_file_that_shrinks_meanwhile_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    file.write_bytes(save({"a": torch.ones(4), "b": torch.ones(4)}))
    tensors = read_container(file).tensors
    assert len(tensors) == 2
    assert tensors.shape("b") == (4,)
    file.write_bytes(file.read_bytes()[:-1])
    assert tensors["a"].tolist() == [1.0] * 4
    with pytest.raises(AdapterError, match=r"it changed while it was read: b is cut"):
        tensors["b"]


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16])
def test_every_number_of_the_short_types_is_the_one_that_torch_reads(kind: torch.dtype, tmp_path: Path) -> None:
    bits = torch.arange(256 if kind.itemsize == 1 else 2**16)
    numbers = bits.to(torch.uint8 if kind.itemsize == 1 else torch.uint16).view(kind)
    finite = numbers[numbers.float().isfinite()]
    file = tmp_path / "lora.safetensors"
    file.write_bytes(save({"a": finite.view(torch.uint8).view(kind)}))
    assert torch.equal(torch.from_numpy(read_container(file).tensors["a"].copy()), finite.float())
