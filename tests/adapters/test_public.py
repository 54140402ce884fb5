import json

import pytest

from loraleak.adapters.header import header_findings
from loraleak.adapters.public import is_public, public_metadata
from loraleak.errors import UsageError

_KOHYA = {
    "format": "pt",
    "ss_base_model_version": "sdxl_base_v1-0",
    "ss_network_module": "networks.lora",
    "ss_v2": "False",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
    "modelspec.sai_model_spec": "1.0.0",
    "ss_tag_frequency": '{"10_jane doe": {"jane doe at home": 3}}',
    "ss_sd_model_name": "/home/jane/sd.safetensors",
    "ss_network_dim": "8",
    "mystery": "x",
}


def test_loaders_fields_stay_and_all_others_go() -> None:
    kept, removed = public_metadata(_KOHYA)
    assert set(kept) == set(list(_KOHYA)[:6])
    assert set(removed) == set(list(_KOHYA)[6:])
    assert header_findings(kept) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "jane"),
        ("ss_base_model_version", "jane's model"),
        ("ss_network_module", "networks.jane doe"),
        ("ss_network_module", "/home/jane/networks.py"),
        ("modelspec.architecture", "jane/lora"),
        ("unet", '["Jane Doe"]'),
        ("unet:0:rank", "jane"),
        ("ss_v2", "False\nTrue"),
    ],
)
def test_free_text_does_not_hide_in_a_loaders_field(field: str, value: str) -> None:
    assert not is_public(field, value)
    assert public_metadata({field: value}) == ({}, (field,))


@pytest.mark.parametrize(
    "value",
    [
        "flux2_klein_9b",
        "Flux.2-dev/lora",
        "qwen_image",
        "Z-Image/lora",
        "wan_2.2_14b",
        "hunyuan-video/lora",
        "anima-preview/lora",
        "sdxl_base_v1-0",
        "sdxl_",
        "stable-diffusion-v2-768-v",
        "stable-cascade-v1-prior/lora",
        "pixart-sigma/lora",
        "ltx2.3",
        "krea2",
    ],
)
def test_what_families_are_called_stays(value: str) -> None:
    for field in ("ss_base_model_version", "modelspec.architecture"):
        assert is_public(field, value)
        assert not is_public(field, f"{value}_annabelle") and not is_public(field, f"{value}/jane")


def test_what_ltx_needs_stays() -> None:
    assert is_public("reference_downscale_factor", "2") and not is_public("reference_downscale_factor", "jane")


def test_values_can_be_replaced() -> None:
    config = json.dumps({"r": 2, "base_model_name_or_path": "/home/jane/base"})
    metadata = {"ss_output_name": "Jane", "ss_seed": "42", "adapter_config.json": config}
    new = {"ss_output_name": "mine", "modelspec.title": "A lamp", "base_model_name_or_path": "org/base"}
    kept, removed = public_metadata(metadata, replaced=new)
    assert removed == ("ss_seed",)
    assert (kept["ss_output_name"], kept["modelspec.title"]) == ("mine", "A lamp")
    assert json.loads(kept["adapter_config.json"]) == {"r": 2, "base_model_name_or_path": "org/base"}


def test_configurations_keep_the_scale_and_lose_paths() -> None:
    config = {
        "unet.r": 4,
        "unet.lora_alpha": 16,
        "unet.alpha_pattern": {"^mid_block": 8},
        "unet.target_modules": ["to_q"],
        "unet.base_model_name_or_path": "/home/jane/sd",
        "unet.modules_to_save": ["C:\\jane"],
        "unet.revision": None,
        "unet.jane": 1,
    }
    kept, removed = public_metadata({"lora_adapter_metadata": json.dumps(config)})
    assert json.loads(kept["lora_adapter_metadata"]) == dict(list(config.items())[:4])
    assert removed == tuple(f"lora_adapter_metadata: unet.{k}" for k in ("base_model_name_or_path", "modules_to_save", "jane"))


def test_a_broken_configuration_goes() -> None:
    assert public_metadata({"lora_adapter_metadata": "[1"}) == ({}, ("lora_adapter_metadata",))


def test_what_is_named_stays() -> None:
    config = json.dumps({"base_model_name_or_path": "org/base", "revision": "x", "r": 2})
    metadata = {"ss_output_name": "Jane", "mystery": "x", "adapter_config.json": config}
    kept, removed = public_metadata(metadata, ("ss_output_name", "base_model_name_or_path"))
    assert kept["ss_output_name"] == "Jane" and set(removed) == {"mystery", "adapter_config.json: revision"}
    assert json.loads(kept["adapter_config.json"]) == {"base_model_name_or_path": "org/base", "r": 2}
    assert public_metadata(metadata, ("adapter_config.json",))[0]["adapter_config.json"] == config


def test_a_name_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(UsageError, match="no field is called 'nothing': the file has a"):
        public_metadata({"a": "b"}, ("nothing",))


def test_an_embeddings_mark_stays_with_its_tensor() -> None:
    assert public_metadata({"<s1>": "<embed>", "<s2>": "jane"}) == ({"<s1>": "<embed>"}, ("<s2>",))
