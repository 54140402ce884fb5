"""What inspection finds, as facts, text, JSON and SARIF; and that hostile text in a file is inert in all of them."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import load_adapter, open_adapter
from loraleak.adapters.reading import Update, read_modules
from loraleak.adapters.reduce import pair_of_halves
from loraleak.errors import AdapterError
from loraleak.families import Layer
from loraleak.inspection import Inspection, inspect_adapter
from loraleak.inspection.as_json import as_json
from loraleak.inspection.as_sarif import as_sarif
from loraleak.inspection.as_text import as_text
from loraleak.inspection.inspect import at_or_above
from loraleak.inspection.spectrum import operations, singular_values
from loraleak.types import Factors
from oracles.updates import dense

_STEM = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
_AT_ZERO = "At the strength that it states, which is 0, this file changes nothing. Whoever has the file can run it at another strength."
_NASTY = (
    "\x1b[2J\x1b]0;owned\x07\u202eanna\u2066\r\n\x00<script>alert(1)</script>{{7*7}}[click](https://evil.example) \\ [bold]"
)


@pytest.fixture(scope="module")
def lokr(loras: Path) -> Inspection:
    """A real LoKr file, whose header tells a lot."""
    return inspect_adapter(loras / "lycoris-lokr-kohya-metadata.safetensors")


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(5)
    return lambda *shape: torch.randn(*shape, generator=generator)


@pytest.fixture
def hostile(tmp_path: Path, normal: Callable[..., Tensor]) -> Path:
    """A sound LoRA whose every text is an attack."""
    header = {
        "ss_training_comment": _NASTY,
        "ss_tag_frequency": json.dumps({_NASTY: {_NASTY: 1}}),
        "ss_dataset_dirs": json.dumps({_NASTY: {"img_count": 3}}),
        "modelspec.title": "x" * 2**20,
        _NASTY: _NASTY,
        f"<{_NASTY}>": "<embed>",
        "ot_config": "[" * 50_000,
    }
    tensors = {
        f"{_STEM}.lora_down.weight": normal(2, 768),
        f"{_STEM}.lora_up.weight": normal(640, 2),
        f"lora_unet_{_NASTY.replace('.', '')[:60]}.lora_down.weight": normal(2, 8),
        f"lora_unet_{_NASTY.replace('.', '')[:60]}.lora_up.weight": normal(8, 2),
        f"bundle_emb.{_NASTY}.string_to_param.*": normal(1, 768),
        _NASTY: normal(1),
    }
    save_file(tensors, tmp_path / "hostile.safetensors", header)
    return tmp_path / "hostile.safetensors"


def _printed(inspection: Inspection, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=True, force_terminal=terminal)
    console.print(as_text(inspection))
    return stream.getvalue()


def _update(factors: Factors) -> Update:
    halves = ((factors.up.numpy(), factors.down.numpy()),)
    shape = (factors.up.shape[0], *factors.down.shape[1:])
    return Update("unet.x", "unet.x", Layer(("unet.x",)), shape, halves, factors.scale, "alpha", factors.rank, None)


@pytest.mark.parametrize("shape", [(30, 20), (3, 20), (30, 2), (12, 6, 3, 3)])
@pytest.mark.parametrize("scale", [0.3, -2.0, None])
def test_singular_values_are_those_of_the_update(
    normal: Callable[..., Tensor], shape: tuple[int, ...], scale: float | None
) -> None:
    factors = Factors(normal(4, *shape[1:]), normal(shape[0], 4, *(1 for _ in shape[2:])), scale)
    values = torch.from_numpy(singular_values(_update(factors)))
    expected = torch.linalg.svdvals(dense(factors).flatten(1))[: len(values)]
    torch.testing.assert_close(values, expected, atol=1e-10, rtol=1e-10)
    assert len(values) == min(4, shape[0], dense(factors).flatten(1).shape[1])


def test_singular_values_of_many_rows_do_not_depend_on_how_they_are_cut(normal: Callable[..., Tensor]) -> None:
    factors = Factors(normal(3, 9001), normal(13, 3), 1.0)
    expected = torch.linalg.svdvals(dense(factors))[:3]
    values = torch.from_numpy(singular_values(_update(factors)))
    torch.testing.assert_close(values, expected, atol=0, rtol=1e-12)


_LOKR = {"lokr_w1": (8, 6), "lokr_w2": (7, 5)}


@pytest.mark.parametrize(
    ("stem", "shapes"),
    [
        (_STEM, _LOKR),
        (_STEM, {"lokr_w1_a": (8, 2), "lokr_w1_b": (2, 6), "lokr_w2_a": (7, 3), "lokr_w2_b": (3, 5)}),
        ("lora_unet_down_blocks_0_resnets_0_conv1", {"lokr_w1": (3, 4), "lokr_w2": (6, 2, 3, 3)}),
        ("lora_unet_down_blocks_0_resnets_0_conv1", {"lokr_w1": (3, 4), "lokr_w2": (40, 18)}),
        ("lora_unet_double_blocks_0_img_attn_qkv", {"lokr_w1": (6, 4), "lokr_w2": (4, 6)}),
        ("lora_unet_joint_blocks_23_context_block_adaLN_modulation_1", {"lokr_w1": (4, 2), "lokr_w2": (6, 6)}),
    ],
    ids=["whole", "split", "kernel", "flat-kernel", "cut-in-three", "swapped"],
)
def test_spectra_of_lokr_are_those_of_the_update(
    tmp_path: Path, normal: Callable[..., Tensor], stem: str, shapes: dict[str, tuple[int, ...]]
) -> None:
    """From the halves where the module is one layer, and from the pair where it is cut in several."""
    save_file({f"{stem}.{role}": normal(*shape) for role, shape in shapes.items()}, tmp_path / "a.safetensors")
    adapter = load_adapter(tmp_path / "a.safetensors")
    inspection = inspect_adapter(tmp_path / "a.safetensors")
    assert len(inspection.modules) == len(adapter.factors)
    for module in inspection.modules:
        expected = torch.linalg.svdvals(dense(adapter.factors[module.name]).flatten(1))
        values = torch.tensor(module.spectrum, dtype=torch.float64)
        least = min(len(values), len(expected))
        torch.testing.assert_close(values[:least], expected[:least], atol=1e-6, rtol=1e-6)
        assert max([*values[least:].tolist(), *expected[least:].tolist()], default=0) < 1e-5


def test_spectra_of_lokr_cost_what_its_halves_do(tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    save_file({f"{_STEM}.lokr_w1": normal(8, 8), f"{_STEM}.lokr_w2": normal(80, 96)}, tmp_path / "a.safetensors")
    opened = open_adapter(tmp_path / "a.safetensors")
    (update,) = read_modules(opened.file, opened.container, opened.contents, opened.fields)
    formed = replace(update, halves=(pair_of_halves(update.halves),))
    assert formed.halves[0][0].shape == (640, 640)
    assert 100 * operations(update) < operations(formed)
    np.testing.assert_allclose(singular_values(update), singular_values(formed), atol=1e-5, rtol=1e-9)


def test_a_fused_layer_of_lokr_stays_whole_where_its_parts_are_no_kronecker_products(
    tmp_path: Path, normal: Callable[..., Tensor]
) -> None:
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    save_file({f"{stem}.lokr_w1": normal(4, 4), f"{stem}.lokr_w2": normal(6, 6)}, tmp_path / "a.safetensors")
    (module,) = inspect_adapter(tmp_path / "a.safetensors").modules
    assert (module.name, module.shape) == ("transformer.double_blocks.0.img_attn.qkv", (24, 24))
    parts = [dense(f) for f in load_adapter(tmp_path / "a.safetensors").factors.values()]
    assert [part.shape for part in parts] == [(8, 24)] * 3
    assert module.norm == pytest.approx(torch.cat(parts).norm().item(), rel=1e-6)


def test_a_file_is_inspected_without_holding_more_than_one_module(loras: Path) -> None:
    opened = open_adapter(loras / "peft")
    updates = read_modules(opened.file, opened.container, opened.contents, opened.fields)
    assert next(updates).name == min(opened.contents.modules)


@pytest.mark.parametrize(
    ("file", "layout", "family", "modules", "rank", "findings"),
    [
        ("cloneofsimo-disney.safetensors", "cloneofsimo", "sd1", 192, 1, {"high"}),
        ("diffusers-bf16.safetensors", "diffusers", "sd2", 128, 4, set()),
        ("peft", "peft", "sd1", 128, 4, set()),
    ],
)
def test_real_files(loras: Path, file: str, layout: str, family: str, modules: int, rank: int, findings: set[str]) -> None:
    inspection = inspect_adapter(loras / file)
    assert (inspection.format, inspection.family, len(inspection.modules)) == (layout, family, modules)
    assert inspection.ranks == (rank, rank)
    assert {finding.severity for finding in inspection.findings} == findings
    adapter = load_adapter(loras / file)
    for module in inspection.modules[::40]:
        update = dense(adapter.factors[module.name])
        assert module.norm is not None and module.norm == pytest.approx(update.norm().item(), rel=1e-9)
        assert module.shape == tuple(update.shape)


def test_a_real_lokr_file(lokr: Inspection) -> None:
    assert (lokr.format, lokr.family, len(lokr.modules), lokr.ranks) == ("lycoris", "sd1", 350, (4, 4))
    assert {finding.severity for finding in lokr.findings} == {"critical", "high", "medium"}
    assert all(module.spectrum is not None and len(module.spectrum) == 16 for module in lokr.modules)


def test_findings_are_grouped_by_what_they_give_away(lokr: Inspection) -> None:
    groups: dict[str, set[str]] = {}
    for finding in lokr.findings:
        groups.setdefault(finding.group, set()).add(finding.field)
    assert {"ss_dataset_dirs", "ss_output_name"} <= groups["people"]
    assert groups["captions"] == {"ss_tag_frequency"}
    assert {"ss_num_train_images", "ss_epoch"} <= groups["counts"]
    assert groups["seeds"] == {"ss_seed"}
    assert {"ss_training_started_at", "ss_training_finished_at"} <= groups["times"]
    assert "ss_sd_model_name" in groups["paths"]
    assert "ss_session_id" in groups["links"]
    text = _printed(lokr)
    assert "“16_smf girl” (43 images, 16 repeats)" in text
    assert text.index("names of people") < text.index("captions\n") < text.index("seeds\n")


@pytest.mark.parametrize(
    ("field", "value", "group"),
    [
        ("ss_noise_seed", "3", "seeds"),
        ("ss_note", "/home/anna/sd15.safetensors", "paths"),
        ("my_config", '{"model": "C:\\\\Users\\\\anna\\\\sd15"}', "paths"),
        ("modelspec.implementation", "x", "software"),
        ("software", '{"name": "ai-toolkit"}', "software"),
        ("note", "hello", "other"),
    ],
)
def test_fields_that_are_not_in_the_table_are_grouped_too(tmp_path: Path, field: str, value: str, group: str) -> None:
    tensors = {f"{_STEM}.lora_down.weight": torch.ones(2, 8), f"{_STEM}.lora_up.weight": torch.ones(8, 2)}
    save_file(tensors, tmp_path / "a.safetensors", {field: value})
    assert [(f.field, f.group) for f in inspect_adapter(tmp_path / "a.safetensors").findings] == [(field, group)]


def test_a_trigger_word_in_the_name_of_a_tensor_is_a_finding(tmp_path: Path) -> None:
    tensors = {f"{_STEM}.lora_down.weight": torch.ones(2, 8), f"{_STEM}.lora_up.weight": torch.ones(8, 2)}
    tensors |= {f"bundle_emb.annamuster.string_to_param.{encoder}": torch.ones(2, 8) for encoder in ("*", "clip_g")}
    save_file(tensors, tmp_path / "a.safetensors")
    (finding,) = inspect_adapter(tmp_path / "a.safetensors").findings
    assert (finding.field, finding.severity, finding.group) == ("annamuster", "high", "people")
    assert "“annamuster”" in finding.says


def test_json_has_a_versioned_schema_and_all_modules(loras: Path) -> None:
    plain = as_json(inspect_adapter(loras / "peft"))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["schema"] == "loraleak.inspect/1"
    assert plain["file"]["sha256"] == load_adapter(loras / "peft").sha256
    assert (plain["format"], plain["family"], plain["rank"], plain["scale_known"]) == (
        "peft",
        "sd1",
        {"min": 4, "max": 4},
        True,
    )
    assert len(plain["modules"]) == 128
    first = plain["modules"][0]
    assert (first["rank"], first["alpha"], first["shape"], first["dora"]) == (4, 16.0, [320, 320], False)
    assert first["spectrum"] == sorted(first["spectrum"], reverse=True)
    assert len(first["spectrum"]) == 4


def test_an_unknown_scale_is_said(tmp_path: Path) -> None:
    tensors = {"unet.a.to_q.lora_A.weight": torch.ones(2, 8), "unet.a.to_q.lora_B.weight": torch.ones(8, 2)}
    save_file(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": '{"unet.r": 2}'})
    inspection = inspect_adapter(tmp_path / "a.safetensors")
    assert as_json(inspection)["scale_known"] is False
    assert "alpha    unknown, so the strength of the update is too" in _printed(inspection)


def test_what_tells_the_scale_is_said(tmp_path: Path) -> None:
    tensors = {"unet.a.to_q.lora_A.weight": torch.ones(2, 8), "unet.a.to_q.lora_B.weight": torch.ones(8, 2)}
    for more, header, scale, told in (
        ({}, None, 1.0, "loaders"),
        ({"unet.a.to_q.alpha": torch.tensor(4.0)}, None, 2.0, "alpha"),
        ({}, {"lora_adapter_metadata": '{"unet.r": 2, "unet.lora_alpha": 1}'}, 0.5, "header"),
    ):
        save_file(tensors | more, tmp_path / "a.safetensors", header)
        (module,) = as_json(inspect_adapter(tmp_path / "a.safetensors"))["modules"]
        assert (module["scale"], module["scale_from"]) == (scale, told)


def test_the_header_of_a_file_that_is_no_lora_is_told_all_the_same(tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(2, 768)}, tmp_path / "a.safetensors", {"ss_output_name": "annamuster"})
    inspection = inspect_adapter(tmp_path / "a.safetensors")
    assert [finding.field for finding in inspection.findings] == ["ss_output_name"]
    assert (inspection.format, inspection.families, inspection.modules, inspection.ranks) == ("", (), (), None)
    assert "annamuster" in _printed(inspection) and "only its header was read" in _printed(inspection)


def _validate(sarif: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text())
    jsonschema.Draft4Validator(schema).validate(sarif)


def test_sarif_validates_against_the_published_schema(hostile: Path) -> None:
    sarif = as_sarif([(inspect_adapter(hostile), hostile)])
    _validate(json.loads(json.dumps(sarif)))
    _validate(as_sarif([]))
    with pytest.raises(jsonschema.ValidationError):
        _validate(sarif | {"version": "3"})


def test_sarif_has_a_result_for_each_finding(lokr: Inspection) -> None:
    sarif = as_sarif([(lokr, Path("my folder/ä.safetensors"))])
    _validate(sarif)
    (run,) = sarif["runs"]
    assert len(run["results"]) == len(lokr.findings)
    levels = {"critical": "error", "high": "warning", "medium": "note"}
    for result, finding in zip(run["results"], lokr.findings, strict=True):
        assert result["level"] == levels[finding.severity]
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == f"metadata/{finding.group}"
        location = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert location["uri"] == "my%20folder/%C3%A4.safetensors"


def test_hostile_text_is_inert_everywhere(hostile: Path) -> None:
    inspection = inspect_adapter(hostile)
    assert len(inspection.findings) >= 7
    for terminal in (False, True):
        text = _printed(inspection, terminal=terminal)
        styles = {"\x1b[1m", "\x1b[0m", "\x1b[31m", "\x1b[33m", "\x1b[1;31m"} if terminal else set()
        for style in styles:
            text = text.replace(style, "")
        assert all(c.isprintable() or c == "\n" for c in text)
    plain = json.dumps(as_json(inspection))
    assert len(plain) < 100_000
    assert plain.isascii() and plain.isprintable()
    sarif = as_sarif([(inspection, hostile)])
    for result in sarif["runs"][0]["results"]:
        message = result["message"]["text"]
        assert message.isprintable()
        assert len(message) < 2000
        assert "](" not in message.replace(r"\](", "")
    assert all(name.isprintable() for name in inspection.residue)
    assert all(module.name.isprintable() for module in inspection.modules)


def test_spectra_stop_where_a_file_is_made_to_keep_a_gate_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {f"unet.{m}.lora_{side}.weight": torch.ones(8, 8) for m in "ab" for side in "AB"}
    save_file(tensors, tmp_path / "a.safetensors")
    monkeypatch.setattr("loraleak.inspection.inspect._MAX_WORK", 20_000)
    inspection = inspect_adapter(tmp_path / "a.safetensors")
    assert [module.spectrum is None for module in inspection.modules] == [False, True]
    assert [module["spectrum"] is None for module in as_json(inspection)["modules"]] == [False, True]
    assert "too wide to compute" in _printed(inspection)


def test_gates(loras: Path) -> None:
    findings = inspect_adapter(loras / "cloneofsimo-disney.safetensors").findings
    assert [at_or_above(findings, level) for level in ("medium", "high", "critical", "never")] == [True, True, False, False]
    assert not at_or_above((), "medium")


def test_broken_numbers_are_refused(tmp_path: Path) -> None:
    tensors = {"unet.a.lora_A.weight": torch.full((2, 8), float("nan")), "unet.a.lora_B.weight": torch.ones(8, 2)}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="holds NaN or infinity"):
        inspect_adapter(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("alpha", "says"),
    [
        (0.02, ()),
        (-0.02, ("1 of 1 modules state a negative strength",)),
        (2e-5, ("not ordinary: the median norm of a module's update is 0.007",)),
        (-2e3, ("negative strength", "not ordinary: the median norm of a module's update is 7e+05")),
    ],
)
def test_a_strength_that_is_not_ordinary_is_told(alpha: float, says: tuple[str, ...], tmp_path: Path) -> None:
    """The update is a matrix of ones, 640 by 768, times half of alpha: its norm is 351 |alpha|."""
    ones = {"lora_down.weight": torch.full((2, 768), 0.5), "lora_up.weight": torch.ones(640, 2)}
    tensors = {f"{_STEM}.{role}": tensor for role, tensor in ones.items()} | {f"{_STEM}.alpha": torch.tensor(alpha)}
    save_file(tensors, tmp_path / "lora.safetensors")
    found = inspect_adapter(tmp_path / "lora.safetensors")
    assert len(found.remarks) == len(says)
    assert all(part in remark for part, remark in zip(says, found.remarks, strict=True))


@pytest.mark.parametrize(
    ("up", "alpha", "says"),
    [
        (0.0, 8.0, ("This file changes nothing: it looks untrained.",)),
        (1.0, 0.0, (_AT_ZERO,)),
        (0.01, 8.0, ()),
    ],
)
def test_a_file_that_changes_nothing_is_called_so(
    up: float, alpha: float, says: tuple[str, ...], tmp_path: Path, normal: Callable[..., Tensor]
) -> None:
    tensors = {
        f"{_STEM}.lora_down.weight": normal(2, 768),
        f"{_STEM}.lora_up.weight": torch.full((640, 2), up),
        f"{_STEM}.alpha": torch.tensor(alpha),
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    found = inspect_adapter(tmp_path / "lora.safetensors")
    assert found.remarks == says
    assert as_json(found)["remarks"] == list(says)
    assert all(remark in _printed(found) for remark in says)
