"""Round trips bit by bit, and what plain diffusers and peft make of our files."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import load_adapter, save_adapter
from loraleak.adapters.write import LAYOUTS, Layout
from loraleak.errors import AdapterError
from loraleak.types import Adapter, Factors
from oracles.stock import noise, stock_pipeline
from oracles.updates import same_updates


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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unknown_scale_is_refused(unet_adapter: Adapter, tmp_path: Path, layout: Layout) -> None:
    first, *_ = unet_adapter.factors
    unknown = replace(unet_adapter.factors[first], scale=None)
    with pytest.raises(AdapterError, match=rf"the scale of {first} is unknown, and loaders take 1 .*: set the scale"):
        save_adapter(replace(unet_adapter, factors={**unet_adapter.factors, first: unknown}), tmp_path / "a", layout)
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_that_a_layout_cannot_hold_is_refused(adapter: Adapter, unet_adapter: Adapter, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"one model, and this adapter changes text_encoder and unet: .*diffusers layout"):
        save_adapter(adapter, tmp_path / "a", "peft")
    factors = Factors(torch.ones(1, 2), torch.ones(2, 1), 1.0)
    for name in ("transformer.odd", "text_encoder_2.text_model.encoder.layers.0.mlp.fc1"):
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


# kohya and ComfyUI


@pytest.mark.parametrize("layout", ["kohya", "comfyui"])
def test_kohya_and_comfyui_round_trips(adapter: Adapter, tmp_path: Path, layout: Layout) -> None:
    save_adapter(adapter, tmp_path / "lora.safetensors", layout)
    read = load_adapter(tmp_path / "lora.safetensors")
    _same(adapter, read)
    assert (read.format, read.residue, read.metadata["ss_seed"]) == (layout, (), "42")


def _transformer(normal: Callable[..., Tensor], family: str, *, shared: bool) -> Adapter:
    """All layers of a block, some of which the original code has as one; `shared` as training them as one gives it."""
    factors: dict[str, Factors] = {}

    def draw(name: str, out: int, down: Tensor | None = None, scale: float = 0.5) -> None:
        down = normal(2, width) if down is None else down
        factors[f"transformer.{name}"] = Factors(down, normal(out, down.shape[0]), scale)

    single, width = family == "flux", 32
    for slots in (("attn.to_q", "attn.to_k", "attn.to_v"), ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")):
        common = normal(2, width)
        for i, slot in enumerate(slots):
            draw(f"transformer_blocks.0.{slot}", width, common if shared else None, 0.5 if shared else 0.5 + i)
    draw("transformer_blocks.0.attn.to_out.0", width)
    draw("norm_out.linear", 2 * width)
    draw("context_embedder", width)
    if single:
        draw("single_transformer_blocks.1.proj_out", width)
        common = normal(2, width)
        for slot, rows in (("attn.to_q", 1), ("attn.to_k", 1), ("attn.to_v", 1), ("proj_mlp", 4)):
            draw(f"single_transformer_blocks.1.{slot}", rows * width, common if shared else None)
    draw("transformer_blocks.23.norm1_context.linear", (6 if single else 2) * width)
    t5 = "text_encoder_2" if single else "text_encoder_3"
    factors[f"{t5}.encoder.block.0.layer.0.SelfAttention.q"] = Factors(normal(2, 16), normal(16, 2), 2.0)
    factors["text_encoder.text_model.encoder.layers.0.mlp.fc1"] = Factors(normal(2, 16), normal(16, 2), 2.0)
    return Adapter(factors, "memory")


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_transformers_come_back_from_every_layout_that_holds_them(
    tmp_path: Path, normal: Callable[..., Tensor], layout: Layout, family: str, shared: bool
) -> None:
    adapter = _transformer(normal, family, shared=shared)
    if layout == "peft":
        with pytest.raises(AdapterError, match="the PEFT layout holds one model"):
            save_adapter(adapter, tmp_path / "a", layout)
        return
    save_adapter(adapter, tmp_path / "a", layout)
    read = load_adapter(tmp_path / "a")
    same_updates(adapter, read, 1e-6)
    if shared:
        _same(adapter, read)


@pytest.mark.parametrize("layout", ["kohya", "comfyui"])
def test_sdxl_is_written_with_its_original_names(tmp_path: Path, normal: Callable[..., Tensor], layout: Layout) -> None:
    block = "unet.up_blocks.0.attentions.0.transformer_blocks.9"
    factors = {
        f"{block}.attn2.to_k": Factors(normal(2, 2048), normal(8, 2), 0.3),
        "unet.up_blocks.0.upsamplers.0.conv": Factors(normal(2, 8, 3, 3), normal(8, 2, 1, 1), 0.3),
        "text_encoder.text_model.encoder.layers.0.mlp.fc1": Factors(normal(2, 8), normal(8, 2), 0.3),
        "text_encoder_2.text_projection": Factors(normal(2, 8), normal(8, 2), 0.3),
    }
    save_adapter(Adapter(factors, "memory"), tmp_path / "a.safetensors", layout)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        stems = {name.removesuffix(".lora_up.weight") for name in file.keys() if name.endswith("up.weight")}  # noqa: SIM118
    kohya = {
        "lora_unet_output_blocks_0_1_transformer_blocks_9_attn2_to_k",
        "lora_unet_output_blocks_2_2_conv",
        "lora_te1_text_model_encoder_layers_0_mlp_fc1",
        "lora_te2_text_projection",
    }
    comfyui = {
        "diffusion_model.output_blocks.0.1.transformer_blocks.9.attn2.to_k",
        "diffusion_model.output_blocks.2.2.conv",
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1",
        "text_encoders.clip_g.transformer.text_projection",
    }
    assert stems == (kohya if layout == "kohya" else comfyui)
    _same(Adapter(factors, "memory"), load_adapter(tmp_path / "a.safetensors"))


def test_what_kohya_and_comfyui_have_no_words_for_is_refused_by_name(tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    one = Factors(normal(2, 3072), normal(3072, 2), 1.0)
    cases: list[tuple[dict[str, Factors], Layout, str]] = [
        ({"unet.odd.layer": one}, "kohya", r"no family that we know has these layers, so kohya's names"),
        ({"unet.conv_in": one, "unet.odd.layer": one}, "comfyui", r"ComfyUI's layout has no name for unet\.odd\.layer"),
        ({"transformer.blocks.0.odd": one}, "kohya", r"no family that we know has these layers.*: keep the file in the layout"),
        (
            {"language_model.model.layers.0.self_attn.q_proj": one},
            "kohya",
            "takes a language model in kohya's layout: write it in peft layout",
        ),
        (
            {"transformer.transformer_blocks.0.attn.to_q": one},
            "comfyui",
            r"these layers fit Flux\.1, Qwen-Image, .* names differently",
        ),
        (
            {"transformer.transformer_blocks.0.attn1.to_q": one},
            "kohya",
            r"no loader that we know takes CogVideoX in kohya's layout",
        ),
        ({"transformer.transformer_blocks.0.attn.to_q": one}, "kohya", r"one layer for .*to_q and .*to_k.* has only one"),
        (
            {
                f"transformer.transformer_blocks.0.attn.{s}": replace(one, up=normal(n, 2))
                for s, n in (("to_q", 3072), ("to_k", 3072), ("to_v", 6))
            },
            "comfyui",
            "do not make one layer",
        ),
        (
            {
                f"transformer.transformer_blocks.0.attn.{s}": Factors(normal(600, 3072), normal(4, 600), 1.0)
                for s in ("to_q", "to_k", "to_v")
            },
            "kohya",
            "one layer of rank 1800, more than 1024",
        ),
    ]
    for factors, layout, fault in cases:
        families = ("flux",) if layout == "kohya" or len(factors) > 2 else ()
        families = families if any(name.endswith("attn.to_q") for name in factors) else ()
        with pytest.raises(AdapterError, match=fault):
            save_adapter(Adapter(factors, "memory", families=families), tmp_path / "a.safetensors", layout)
    assert list(tmp_path.iterdir()) == []


def test_every_real_file_is_written_in_every_layout_and_read_back_equal(loras: Path, tmp_path: Path) -> None:
    for source in sorted(loras.iterdir()):
        if source.name.startswith(("malformed", "refuse")):
            continue
        adapter = load_adapter(source)
        for layout in ("kohya", "comfyui") if "lokr" in source.name else LAYOUTS:
            target = tmp_path / f"{source.name}-{layout}"
            if layout == "peft" and len({name.partition(".")[0] for name in adapter.factors}) > 1:
                with pytest.raises(AdapterError, match="one model"):
                    save_adapter(adapter, target, layout)
                continue
            save_adapter(adapter, target, layout)
            _same(adapter, load_adapter(target))


# DoRA


def _dora(adapter: Adapter, normal: Callable[..., Tensor]) -> Adapter:
    magnitudes = {n: normal(f.up.shape[0], *(1 for _ in f.down.shape[1:])).abs() + 1 for n, f in adapter.factors.items()}
    return replace(adapter, magnitudes=magnitudes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_magnitudes_come_back_from_every_layout(
    tmp_path: Path, normal: Callable[..., Tensor], unet_adapter: Adapter, layout: Layout
) -> None:
    adapter = _dora(unet_adapter, normal)
    save_adapter(adapter, tmp_path / "a", layout)
    read = load_adapter(tmp_path / "a")
    _same(adapter, read)
    same_updates(adapter, read)


def test_magnitudes_that_peft_cannot_hold_are_refused_by_name(
    tmp_path: Path, normal: Callable[..., Tensor], unet_adapter: Adapter
) -> None:
    adapter = _dora(unet_adapter, normal)
    first = next(iter(adapter.factors))
    columns = {**adapter.magnitudes, first: torch.ones(1, adapter.factors[first].down.shape[1])}
    fewer = {name: m for name, m in adapter.magnitudes.items() if name != first}
    for layout in ("diffusers", "peft"):
        with pytest.raises(AdapterError, match=rf"{first.removeprefix('unet.')} has a DoRA magnitude over its columns"):
            save_adapter(replace(adapter, magnitudes=columns), tmp_path / "a", layout)  # type: ignore[arg-type]
        with pytest.raises(AdapterError, match=rf"{first.removeprefix('unet.')} has no DoRA magnitude, and others have"):
            save_adapter(replace(adapter, magnitudes=fewer), tmp_path / "a", layout)  # type: ignore[arg-type]
    for magnitudes in (columns, fewer):
        save_adapter(replace(adapter, magnitudes=magnitudes), tmp_path / "a.safetensors", "kohya")
        same_updates(replace(adapter, magnitudes=magnitudes), load_adapter(tmp_path / "a.safetensors"))


# What diffusers and peft make of our files, against `W + scale * B A` by hand.


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
    pipeline = stock_pipeline()
    _merge(pipeline, factors, scale)
    return noise(pipeline.unet, pipeline.text_encoder)


def _small(adapter: Adapter) -> Adapter:
    """Updates small enough to keep float32 exact to 1e-5, large enough to be seen."""
    return replace(adapter, factors={n: replace(f, down=f.down * 0.1, up=f.up * 0.1) for n, f in adapter.factors.items()})


def test_plain_diffusers_applies_the_right_scale_to_every_module(adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(adapter)
    save_adapter(adapter, tmp_path / "lora.safetensors")
    pipeline = stock_pipeline()
    bare = noise(pipeline.unet, pipeline.text_encoder)
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    loaded = noise(pipeline.unet, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors), atol=1e-5, rtol=0)
    assert (loaded - bare).abs().max() > 1e-2
    without_text = {n: f for n, f in adapter.factors.items() if n.startswith("unet.")}
    assert (loaded - _by_hand(without_text)).abs().max() > 1e-4


def test_plain_diffusers_applies_a_scale_of_one_where_a_file_tells_none(unet_adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(unet_adapter)
    named = {f"{n}.lora_{s}.weight": t for n, f in adapter.factors.items() for s, t in (("A", f.down), ("B", f.up))}
    save_file(named, tmp_path / "lora.safetensors")
    assert {f.scale for f in load_adapter(tmp_path / "lora.safetensors").factors.values()} == {1.0}
    pipeline = stock_pipeline()
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    loaded = noise(pipeline.unet, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors, 1.0), atol=1e-5, rtol=0)


def test_peft_applies_the_right_scale_to_every_module_of_the_unet(unet_adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(unet_adapter)
    save_adapter(adapter, tmp_path / "lora", "peft")
    pipeline = stock_pipeline()
    model = PeftModel.from_pretrained(pipeline.unet, str(tmp_path / "lora"))
    loaded = noise(model, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(adapter.factors), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft with transformers 5
def test_peft_applies_the_right_scale_to_every_module_of_the_text_encoder(adapter: Adapter, tmp_path: Path) -> None:
    adapter = _small(adapter)
    text = replace(adapter, factors={n: f for n, f in adapter.factors.items() if n.startswith("text_encoder.")})
    save_adapter(text, tmp_path / "lora", "peft")
    _same(text, load_adapter(tmp_path / "lora"))
    pipeline = stock_pipeline()
    model = PeftModel.from_pretrained(pipeline.text_encoder, str(tmp_path / "lora"))
    torch.testing.assert_close(noise(pipeline.unet, model), _by_hand(text.factors), atol=1e-5, rtol=0)


def test_peft_applies_the_magnitudes_of_dora(unet_adapter: Adapter, tmp_path: Path, normal: Callable[..., Tensor]) -> None:
    """`m (W + s B A) / ||W + s B A||` over each row (Liu et al. 2024, arXiv 2402.09353, eq. 5)."""
    linear = {n: f for n, f in _small(unet_adapter).factors.items() if f.down.ndim == 2}
    adapter = _dora(replace(unet_adapter, factors=linear), normal)
    save_adapter(adapter, tmp_path / "lora", "peft")
    pipeline = stock_pipeline()
    loaded = noise(PeftModel.from_pretrained(pipeline.unet, str(tmp_path / "lora")), pipeline.text_encoder)
    by_hand = stock_pipeline()
    _merge(by_hand, adapter.factors)
    with torch.no_grad():
        for name, magnitude in adapter.magnitudes.items():
            weight = by_hand.unet.get_submodule(name.removeprefix("unet.")).weight
            weight.copy_(magnitude * weight / weight.norm(dim=1, keepdim=True))
    torch.testing.assert_close(loaded, noise(by_hand.unet, by_hand.text_encoder), atol=1e-4, rtol=0)


def test_the_magnitudes_that_peft_writes_are_read(tmp_path: Path) -> None:
    unet = stock_pipeline().unet
    model = get_peft_model(unet, LoraConfig(r=2, lora_alpha=2, use_dora=True, target_modules=["to_q", "conv1"]))
    model.save_pretrained(str(tmp_path))
    read = load_adapter(tmp_path)
    assert read.residue == ()
    assert set(read.magnitudes) == set(read.factors)
    for name, magnitude in read.magnitudes.items():
        weight = stock_pipeline().unet.get_submodule(name.removeprefix("unet.")).weight
        norms = weight.flatten(1).norm(dim=1).reshape(-1, *(1 for _ in weight.shape[1:]))
        torch.testing.assert_close(magnitude, norms)


def test_plain_diffusers_reads_kohya_files_that_we_write(
    adapter: Adapter, tmp_path: Path, normal: Callable[..., Tensor]
) -> None:
    """With one alpha for all: diffusers 0.42 loses those of attention layers where they differ, saying that they match no module."""
    factors = {
        n: Factors(0.1 * normal(4, *f.down.shape[1:]), 0.1 * normal(f.up.shape[0], 4, *f.up.shape[2:]), 2.0)
        for n, f in adapter.factors.items()
    }
    save_adapter(Adapter(factors, "memory"), tmp_path / "lora.safetensors", "kohya")
    pipeline = stock_pipeline()
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    loaded = noise(pipeline.unet, pipeline.text_encoder)
    torch.testing.assert_close(loaded, _by_hand(factors), atol=1e-4, rtol=0)


def test_what_diffusers_itself_writes_reads_with_its_scale(adapter: Adapter, tmp_path: Path) -> None:
    """rsLoRA, patterns and two components, as `save_lora_weights` has them."""
    from diffusers.training_utils import _collate_lora_metadata
    from peft.utils import get_peft_model_state_dict

    pipeline = stock_pipeline()
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
