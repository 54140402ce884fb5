"""Round trips bit by bit, and what plain diffusers and peft make of our files."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import PeftModel
from safetensors import safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from loraleak.adapters import load_adapter, save_adapter
from loraleak.errors import AdapterError
from loraleak.types import Adapter, Factors


def _same(first: Adapter, second: Adapter) -> None:
    assert set(first.factors) == set(second.factors)
    for name, factors in first.factors.items():
        assert torch.equal(factors.down, second.factors[name].down), name
        assert torch.equal(factors.up, second.factors[name].up), name
        assert factors.scale == second.factors[name].scale, name


def test_diffusers_round_trip(adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path / "new" / "lora.safetensors")
    read = load_adapter(tmp_path / "new" / "lora.safetensors")
    _same(adapter, read)
    assert read.format == "diffusers"
    assert read.residue == ()
    assert read.metadata["ss_seed"] == "42"
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["lora.safetensors"]
    save_adapter(read, tmp_path / "again.safetensors")
    assert load_adapter(tmp_path / "again.safetensors").sha256 == read.sha256


def test_peft_round_trip(unet_adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(unet_adapter, tmp_path / "new" / "lora", "peft")
    read = load_adapter(tmp_path / "new" / "lora")
    _same(unet_adapter, read)
    assert read.format == "peft"
    assert read.residue == ()
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["lora"]
    _same(unet_adapter, load_adapter(tmp_path / "new" / "lora" / "adapter_model.safetensors"))


def test_writing_again_replaces_what_was_there(unet_adapter: Adapter, tmp_path: Path) -> None:
    other = replace(unet_adapter, factors={n: replace(f, up=f.up * 2) for n, f in unet_adapter.factors.items()})
    for layout, name in (("diffusers", "a.safetensors"), ("peft", "a")):
        for value in (unet_adapter, other):
            save_adapter(value, tmp_path / name, layout)  # type: ignore[arg-type]
            _same(value, load_adapter(tmp_path / name))


def test_real_files_go_through_both_layouts(loras: Path, tmp_path: Path) -> None:
    for source in ("peft", "diffusers-attn-processor.safetensors", "diffusers-new-with-header.safetensors"):
        adapter = load_adapter(loras / source)
        save_adapter(adapter, tmp_path / f"{source}.safetensors")
        _same(adapter, load_adapter(tmp_path / f"{source}.safetensors"))
        save_adapter(adapter, tmp_path / source, "peft")
        _same(adapter, load_adapter(tmp_path / source))


def test_scales_come_back_to_the_last_bit_for_any_alpha_and_rank(tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    alphas = (1, 3, 7, 16, 0.1, 2.5, 1e-6, -4)
    factors = {
        f"unet.m{i}x{rank}": Factors(normal(rank, 2), normal(2, rank), alpha / rank)
        for i, alpha in enumerate(alphas)
        for rank in (1, 3, 5, 7, 12, 64)
    }
    adapter = Adapter(factors=factors, format="memory")
    save_adapter(adapter, tmp_path / "a.safetensors")
    _same(adapter, load_adapter(tmp_path / "a.safetensors"))


def test_an_unknown_scale_stays_unknown_or_is_refused(unet_adapter: Adapter, tmp_path: Path) -> None:
    unknown = replace(unet_adapter, factors={n: replace(f, scale=None) for n, f in unet_adapter.factors.items()})
    save_adapter(unknown, tmp_path / "a.safetensors")
    _same(unknown, load_adapter(tmp_path / "a.safetensors"))
    with pytest.raises(AdapterError, match="must tell the scale, and this adapter's is unknown: write it in diffusers layout"):
        save_adapter(unknown, tmp_path / "a", "peft")
    first, *_ = unet_adapter.factors
    mixed = replace(unet_adapter, factors={**unet_adapter.factors, first: unknown.factors[first]})
    with pytest.raises(AdapterError, match=rf"the scale of {first} is unknown.*no layout can hold"):
        save_adapter(mixed, tmp_path / "b.safetensors")
    assert [f.name for f in tmp_path.iterdir()] == ["a.safetensors"]


def test_an_adapter_that_a_layout_cannot_hold_is_refused(adapter: Adapter, unet_adapter: Adapter, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"one model, and this adapter changes text_encoder and unet: .*diffusers layout"):
        save_adapter(adapter, tmp_path / "a", "peft")
    factors = Factors(torch.ones(1, 2), torch.ones(2, 1), 1.0)
    for name in ("transformer.transformer_blocks.0.attn.to_q", "text_encoder_2.text_model.encoder.layers.0.mlp.fc1"):
        with pytest.raises(AdapterError, match=r"does not tell that .* belongs to (transformer|text_encoder_2): .*diffusers"):
            save_adapter(Adapter(factors={name: factors}, format="memory"), tmp_path / "a", "peft")
    with pytest.raises(AdapterError, match="is a folder, but the diffusers layout is one file"):
        save_adapter(adapter, tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AdapterError, match="is a file, but the PEFT layout is a folder"):
        save_adapter(unet_adapter, tmp_path / "file", "peft")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(AdapterError, match="has no factors"):
        save_adapter(Adapter(factors={}, format="memory"), tmp_path / "a.safetensors")
    broken = replace(factors, up=torch.full((2, 1), float("nan")))
    with pytest.raises(AdapterError, match=r"unet\.a holds NaN or infinity"):
        save_adapter(Adapter(factors={"unet.a": broken}, format="memory"), tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="belongs to no component"):
        save_adapter(Adapter(factors={"vae.a": factors}, format="memory"), tmp_path / "a.st")


def test_a_failed_write_leaves_nothing_behind(unet_adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    for layout in ("diffusers", "peft"):
        with pytest.raises(OSError, match="No space left"):
            save_adapter(unet_adapter, tmp_path / "lora", layout)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_source_files_own_configuration_is_replaced(unet_adapter: Adapter, tmp_path: Path) -> None:
    stale = {"adapter_config.json": '{"r": 99}', "lora_adapter_metadata": '{"r": 99}', "note": "kept"}
    save_adapter(replace(unet_adapter, metadata=stale), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        header = file.metadata()
    assert set(header) == {"format", "lora_adapter_metadata", "note"}
    assert json.loads(header["lora_adapter_metadata"])["unet.r"] != 99


# What diffusers and peft make of our files, against `W + scale * B A` by hand.


def _pipeline() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    text = CLIPTextConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return StableDiffusionPipeline(
        unet=unet.eval(),
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=None,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@torch.no_grad()
def _noise(unet: nn.Module, text_encoder: nn.Module) -> Tensor:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    states = text_encoder(torch.arange(2, 18).repeat(2, 1)).last_hidden_state
    output: Tensor = unet(latents, torch.tensor([10, 700]), states).sample
    return output


@torch.no_grad()
def _merge(pipeline: Any, factors: Mapping[str, Factors], scale: float | None = None) -> None:
    for name, f in factors.items():
        component, _, path = name.partition(".")
        model = getattr(pipeline, component)
        known = dict(model.named_modules())
        weight = known[path if path in known else path.removeprefix("text_model.")].weight
        strength = f.scale if scale is None else scale
        assert strength is not None
        weight += strength * (f.up.flatten(1) @ f.down.flatten(1)).reshape(weight.shape)


def _by_hand(factors: Mapping[str, Factors], scale: float | None = None) -> Tensor:
    pipeline = _pipeline()
    _merge(pipeline, factors, scale)
    return _noise(pipeline.unet, pipeline.text_encoder)


def _small(adapter: Adapter) -> Adapter:
    """Updates small enough to keep float32 exact to 1e-5, large enough to be seen."""
    return replace(adapter, factors={n: replace(f, down=f.down * 0.1, up=f.up * 0.1) for n, f in adapter.factors.items()})


def test_plain_diffusers_applies_the_right_scale_to_every_module(adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(adapter)
    save_adapter(adapter, tmp_path / "lora.safetensors")
    pipeline = _pipeline()
    bare = _noise(pipeline.unet, pipeline.text_encoder)
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    loaded = _noise(pipeline.unet, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors), atol=1e-5, rtol=0)
    assert (loaded - bare).abs().max() > 1e-2
    without_text = {n: f for n, f in adapter.factors.items() if n.startswith("unet.")}
    assert (loaded - _by_hand(without_text)).abs().max() > 1e-4


def test_plain_diffusers_applies_a_scale_of_one_where_it_is_unknown(unet_adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(unet_adapter)
    adapter = replace(adapter, factors={n: replace(f, scale=None) for n, f in adapter.factors.items()})
    save_adapter(adapter, tmp_path / "lora.safetensors")
    pipeline = _pipeline()
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    loaded = _noise(pipeline.unet, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors, 1.0), atol=1e-5, rtol=0)


def test_peft_applies_the_right_scale_to_every_module_of_the_unet(unet_adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(unet_adapter)
    save_adapter(adapter, tmp_path / "lora", "peft")
    pipeline = _pipeline()
    model = PeftModel.from_pretrained(pipeline.unet, str(tmp_path / "lora"))
    loaded = _noise(model, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft with transformers 5
def test_peft_applies_the_right_scale_to_every_module_of_the_text_encoder(adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(adapter)
    text = replace(adapter, factors={n: f for n, f in adapter.factors.items() if n.startswith("text_encoder.")})
    save_adapter(text, tmp_path / "lora", "peft")
    _same(text, load_adapter(tmp_path / "lora"))
    pipeline = _pipeline()
    model = PeftModel.from_pretrained(pipeline.text_encoder, str(tmp_path / "lora"))
    torch.testing.assert_close(_noise(pipeline.unet, model), _by_hand(text.factors), atol=1e-5, rtol=0)


def test_what_diffusers_itself_writes_reads_with_its_scale(adapter: Adapter, tmp_path: Path) -> None:
    """rsLoRA, patterns and two components, as `save_lora_weights` has them."""
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipeline = _pipeline()
    pipeline.unet.add_adapter(
        LoraConfig(r=4, lora_alpha=6, target_modules=["to_q", "conv1"], rank_pattern={"to_q": 2}, alpha_pattern={"conv1": 1})
    )
    pipeline.text_encoder.add_adapter(LoraConfig(r=9, lora_alpha=6, target_modules=["q_proj"], use_rslora=True))
    StableDiffusionPipeline.save_lora_weights(
        str(tmp_path),
        unet_lora_layers=get_peft_model_state_dict(pipeline.unet),
        text_encoder_lora_layers=get_peft_model_state_dict(pipeline.text_encoder),
        **_collate_lora_metadata({"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}),
    )
    read = load_adapter(tmp_path)
    assert read.residue == ()
    assert read.scale_known
    for name, factors in read.factors.items():
        expected = {"to_q": (2, 3.0), "conv1": (4, 0.25), "q_proj": (9, 2.0)}[name.rpartition(".")[2]]
        assert (factors.rank, factors.scale) == expected, name
    assert "text_encoder.text_model.encoder.layers.0.self_attn.q_proj" in read.factors
