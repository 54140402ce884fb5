"""Hostile files: drawn at random, and those that somebody would make on purpose. Each is a usable LoRA or a refusal in one line."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from hostile_files import hostile_file
from loraleak.adapters import header_findings, load_adapter, tensor_findings
from loraleak.errors import AdapterError
from reader import try_file

_SMOKE = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_STEM = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


def _raw(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _sound(metadata: dict[str, str] | None = None) -> bytes:
    tensors = {f"{_STEM}.lora_down.weight": torch.ones(2, 8), f"{_STEM}.lora_up.weight": torch.ones(8, 2)}
    return save(tensors, metadata)


@_SMOKE
@given(st.data())
def test_sound_containers_of_hostile_contents(tmp_path: Path, data: st.DataObject) -> None:
    try_file(hostile_file(lambda low, high: data.draw(st.integers(low, high))), tmp_path)


@_SMOKE
@given(st.binary(max_size=400))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    assert not try_file(data, tmp_path)


@_SMOKE
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_sound_file_with_some_bytes_changed(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(_sound({"ss_output_name": "anna"}))
    for place, byte in changes:
        data[place % len(data)] = byte
    try_file(bytes(data), tmp_path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9) | st.sampled_from(["buckets", "subsets"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_FIELDS = (
    "ss_tag_frequency",
    "ss_datasets",
    "ss_dataset_dirs",
    "ss_bucket_info",
    "lora_adapter_metadata",
    "ss_training_started_at",
)


@_SMOKE
@given(st.dictionaries(st.sampled_from(_FIELDS) | st.text(), st.text() | _JSON.map(json.dumps), max_size=4))
def test_any_metadata_is_told_in_text_that_can_be_printed(metadata: dict[str, str]) -> None:
    for finding in header_findings(metadata):
        assert (finding.field + finding.says).isprintable()
        assert len(finding.says) < 2000


@pytest.mark.parametrize("field", _FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        "[" * 600 + "]" * 600,
        '{"x": {"y": %s}}' % ("9" * 400),
        '{"buckets": {"0": {"count": %s}, "1": {"count": %s}}}' % (("9" * 4300,) * 2),
        '[{"subsets": [{"image_dir": %s}]}]' % ("[" * 600 + "]" * 600),
        '{"x": {"img_count": %s}}' % ("9" * 4300),
        '{"a": NaN, "b": Infinity}',
        '"\\ud800"',
        "\ud800",
    ],
    ids=["deep", "large", "sum", "deep-subset", "count", "nan", "escaped-surrogate", "surrogate"],
)
def test_numbers_and_depths_that_python_reads_but_does_not_print(field: str, value: str) -> None:
    for finding in header_findings({field: value}):
        assert finding.says.isprintable()
        assert len(finding.says) < 2000


def test_a_malformed_field_is_as_severe_as_a_sound_one() -> None:
    (finding,) = header_findings({"ss_tag_frequency": '{"x": {"y": %s}}' % ("9" * 400)})
    assert finding.severity == "critical"


def test_the_layouts_own_fields_hide_nothing() -> None:
    harmless = {"unet:12:rank": "4", "unet": '["Attention", "GEGLU"]', "text_encoder": '["CLIPAttention"]'}
    assert header_findings(harmless) == ()
    assert len(header_findings({"unet:12:rank": "anna", "unet": "anna", "text_encoder": '["anna muster"]'})) == 3


def test_a_million_keys_are_refused_before_they_are_read(tmp_path: Path) -> None:
    keys = b",".join(b'"%d":{"dtype":"F32","shape":[],"data_offsets":[0,0]}' % i for i in range(1_000_000))
    (tmp_path / "a.safetensors").write_bytes(_raw(b"{" + keys + b"}"))
    with pytest.raises(AdapterError, match=r"its header claims .* bytes, more than 16 MiB"):
        load_adapter(tmp_path / "a.safetensors")
    few = b",".join(b'"%d":0' % i for i in range(1_000_000))
    (tmp_path / "a.safetensors").write_bytes(_raw(b"{" + few + b"}"))
    with pytest.raises(AdapterError, match="it has 1000000 tensors, more than 20000"):
        load_adapter(tmp_path / "a.safetensors")


def test_a_million_fields_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(_raw({"__metadata__": {f"{i:x}": "" for i in range(1_000_000)}}))
    with pytest.raises(AdapterError, match="its __metadata__ has 1000000 fields, more than 20000"):
        load_adapter(tmp_path / "a.safetensors")


def test_a_flood_of_small_modules_is_read(tmp_path: Path) -> None:
    tensors = {f"unet.m{i}.lora_{side}.weight": torch.ones(1, 1) for i in range(1_000) for side in "AB"}
    (tmp_path / "a.safetensors").write_bytes(save(tensors))
    assert len(load_adapter(tmp_path / "a.safetensors").factors) == 1_000


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"x": {"dtype": "F32", "shape": [2**60, 2**60], "data_offsets": [0, 4]}}, "x has the wrong offsets for F32"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**63]}}, "wrong offsets"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [2**64, 2**64 + 4]}}, "wrong offsets"),
        ({"x": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}, "no whole numbers"),
        ({"x": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, "has the dtype"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": 1}}, "is not described by"),
        (b'{"x": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 4]}}' % (b"9" * 5000), "its header is malformed"),
        (b'{"\xed\xa0\x80": 1}', "its header is not UTF-8"),
        (b'{"__metadata__": {"a": "b"}, "__metadata__": {}}', "__metadata__ stands there twice"),
        (b'[{"x": 1}]', "it is no safetensors file"),
    ],
)
def test_headers_that_somebody_would_make_on_purpose(tmp_path: Path, header: Any, fault: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(_raw(header, bytes(4)))
    with pytest.raises(AdapterError, match=fault):
        load_adapter(tmp_path / "a.safetensors")


def test_trigger_words_in_names_are_cut_and_escaped() -> None:
    (finding,) = tensor_findings([f"bundle_emb.\x1b[2J\u202e{'x' * 400}.string_to_param.*", "bundle_emb.half", "plain"])
    assert (finding.field + finding.says).isprintable()
    assert r"\x1b[2J\u202e" in finding.says
    assert len(finding.says) < 300
