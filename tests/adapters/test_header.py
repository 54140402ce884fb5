"""What headers give away, on made ones and on a real one with 61 fields."""

import base64
import json
import struct
from pathlib import Path

import pytest

from loraleak.adapters import header_findings
from loraleak.types import Finding, Severity


def _only(field: str, value: str) -> Finding:
    (finding,) = header_findings({field: value})
    return finding


@pytest.mark.parametrize(
    ("field", "value", "severity", "quoted"),
    [
        (
            "ss_dataset_dirs",
            '{"10_anna person": {"n_repeats": 10, "img_count": 5}}',
            "critical",
            "“10_anna person” (5 images, 10 repeats)",
        ),
        ("ss_reg_dataset_dirs", '{"1_woman": {"n_repeats": 1, "img_count": 200}}', "critical", "“1_woman” (200 images"),
        (
            "ss_tag_frequency",
            '{"10_anna": {"hat": 5, "anna muster at her home in the old town of berne": 1}}',
            "critical",
            "in “10_anna”: “anna muster at her home in the old town of berne” (1), “hat” (5)",
        ),
        (
            "ss_datasets",
            '[{"subsets": [{"image_dir": "/home/anna/10_x", "img_count": 5, "num_repeats": 10, "class_tokens": "x person"}]}]',
            "critical",
            "“/home/anna/10_x” (5 images, 10 repeats) with class tokens “x person”",
        ),
        ("ss_output_name", "anna_v3", "high", "“anna_v3”"),
        ("ss_training_comment", "for anna", "high", "“for anna”"),
        ("modelspec.title", "Anna", "high", "“Anna”"),
        ("modelspec.trigger_phrase", "anna-x", "high", "“anna-x”"),
        ("ss_num_train_images", "50", "high", "“50”"),
        ("ss_bucket_info", '{"buckets": {"0": {"count": 4}, "1": {"count": 6}}}', "high", "10 in 2 shapes"),
        ("ss_training_started_at", "1680716500.77", "medium", "2023-04-05 17:41:40 UTC"),
        ("ss_training_started_at", "1e999", "medium", "“1e999”"),
        ("modelspec.date", "2023-04-05T17:41:40", "medium", "“2023-04-05T17:41:40”"),
        ("ss_session_id", "2097167670", "medium", "“2097167670”"),
        ("ss_sd_model_name", "base.safetensors", "medium", "“base.safetensors”"),
        ("ss_seed", "42", "medium", "“42”"),
        ("ss_keep_tokens", "0", "medium", "setting of the training: “0”"),
        ("my_note", "hello", "medium", "do not know: “hello”"),
    ],
)
def test_each_field_has_its_severity_and_quotes_what_matters(field: str, value: str, severity: Severity, quoted: str) -> None:
    finding = _only(field, value)
    assert (finding.field, finding.severity) == (field, severity)
    assert quoted in finding.says


@pytest.mark.parametrize("field", ["ss_tag_frequency", "ss_datasets", "ss_dataset_dirs", "ss_bucket_info"])
@pytest.mark.parametrize(
    "value", ['{"10_anna": ', "10_anna", '["10_anna"]', '{"10_anna": 3}', '"10_anna"', "10_anna" + "[" * 99_999]
)
def test_malformed_json_is_shown_as_text(field: str, value: str) -> None:
    says = _only(field, value).says
    assert "10_anna" in says
    assert len(says) < 1000


def test_a_thumbnail_is_named_and_not_printed() -> None:
    picture = base64.b64encode(b"\xff\xd8\xff" + bytes(5000)).decode()
    finding = _only("modelspec.thumbnail", f"data:image/jpeg;base64,{picture}")
    assert finding.severity == "critical"
    assert "JPEG picture of 5,003 bytes" in finding.says
    assert picture[:40] not in finding.says
    assert "no base64" in _only("modelspec.thumbnail", "data:image/png;base64,@@@").says


@pytest.mark.parametrize("value", ["", "  ", "None", "null", "{}", "[]"])
def test_empty_fields_give_nothing_away(value: str) -> None:
    assert header_findings({"ss_training_comment": value, "ss_reg_dataset_dirs": value, "unknown": value}) == ()


def test_the_layouts_own_fields_give_away_only_local_paths() -> None:
    harmless = json.dumps({"unet.r": 4, "unet.target_modules": ["to_q", "a/b"], "base_model_name_or_path": "org/model"})
    assert header_findings({"format": "pt", "lora_adapter_metadata": harmless, "adapter_config.json": harmless}) == ()
    for path in (
        "/home/anna/sd15",
        "C:\\Users\\anna",
        "~/sd15",
        "./sd15",
        "../sd15",
        "file:///home",
        "\\\\server\\share",
    ):
        for field in ("lora_adapter_metadata", "adapter_config.json"):
            finding = _only(field, json.dumps({"base_model_name_or_path": path, "r": 4}))
            assert finding.severity == "medium"
            assert f"“{path}”" in finding.says


def test_hostile_text_is_cut_and_its_control_characters_are_made_visible() -> None:
    nasty = "\x1b[2J\u202eanna\r\n" + "x" * 100_000
    metadata = {
        "ss_training_comment": nasty,
        "ss_tag_frequency": json.dumps({nasty: {nasty + str(i): i for i in range(50)}}),
        "ss_dataset_dirs": json.dumps({nasty + str(i): {"img_count": 10**30} for i in range(50)}),
        "ss_datasets": json.dumps([{"subsets": [{"image_dir": nasty, "class_tokens": nasty}] * 50}]),
        "lora_adapter_metadata": json.dumps({"x": "/home/" + nasty}),
        nasty: nasty,
    }
    findings = header_findings(metadata)
    assert len(findings) == len(metadata)
    for finding in findings:
        assert finding.says.isprintable()
        assert len(finding.says) < 1500
        assert finding.field.isprintable()
        assert len(finding.field) < 200
    assert r"\x1b[2J\u202eanna\r\n" in next(f.says for f in findings if f.field == "ss_training_comment")


def test_a_flood_of_fields_is_counted_and_not_listed() -> None:
    findings = header_findings({f"x{i}": "1" for i in range(5000)} | {"ss_output_name": "anna"})
    assert len(findings) == 201
    assert findings[0].field == "ss_output_name"
    assert "4801 more fields" in findings[-1].says


def test_a_real_kohya_header(loras: Path) -> None:
    data = (loras / "lycoris-lokr-kohya-metadata.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    findings = header_findings(json.loads(data[8 : 8 + size])["__metadata__"])
    by_field = {finding.field: finding for finding in findings}
    order = ["critical", "high", "medium"]
    assert [f.severity for f in findings] == sorted((f.severity for f in findings), key=order.index)
    assert {f.field for f in findings if f.severity == "critical"} == {"ss_dataset_dirs", "ss_tag_frequency"}
    assert "“16_smf girl” (43 images, 16 repeats)" in by_field["ss_dataset_dirs"].says
    assert "smart falcon" in by_field["ss_tag_frequency"].says
    assert "smart falcon" in by_field["ss_training_comment"].says
    assert "1204" in by_field["ss_num_train_images"].says
    assert "1204 in 23 shapes" in by_field["ss_bucket_info"].says
    assert "2023-04-05" in by_field["ss_training_started_at"].says
    assert not {"ss_reg_dataset_dirs", "ss_vae_name", "ss_clip_skip"} & by_field.keys()
