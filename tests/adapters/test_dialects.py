"""Shared files' layouts: kohya, LyCORIS, ComfyUI, ai-toolkit, cloneofsimo, against diffusers' and LyCORIS' own reading."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.loaders import lora_conversion_utils
from lycoris import functional
from lycoris.modules.loha import LohaModule
from safetensors.torch import save_file
from torch import Tensor, nn

from loraleak.adapters import load_adapter
from loraleak.errors import AdapterError
from loraleak.types import Adapter
from oracles.updates import dense, dense_of

Normal = Callable[..., Tensor]
_ATTN = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
_MODULE = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


def _read(folder: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> Adapter:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "lora.safetensors", header)
    return load_adapter(folder / "lora.safetensors")


def _kohya(normal: Normal, stems: dict[str, tuple[tuple[int, ...], float]], rank: int = 2) -> dict[str, Tensor]:
    tensors = {}
    for stem, (shape, alpha) in stems.items():
        out, *rest = shape
        tensors[f"{stem}.lora_down.weight"] = normal(rank, *rest)
        tensors[f"{stem}.lora_up.weight"] = normal(out, rank, *(1 for _ in rest[1:]))
        tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    return tensors


def _as_diffusers_reads(pipeline: Any, tensors: dict[str, Tensor], **options: object) -> dict[str, Tensor]:
    """dW by our module names; diffusers consumes what it is given."""
    state, alphas = pipeline.lora_state_dict(copy.copy(tensors), **options)
    found = {}
    for name, down in state.items():
        if match := re.fullmatch(r"(.+?)(\.lora|_lora|\.lora_linear_layer)\.down\.weight", name):
            up = state[name.replace(".down.", ".up.")]
            (alpha,) = [value for key, value in alphas.items() if key in (f"{match[1]}.alpha", f"{name}.alpha")]
            product = (up.double().flatten(1) @ down.double().flatten(1)).reshape(-1, *down.shape[1:])
            found[_plain(match[1])] = alpha / down.shape[0] * product
    return found


def _plain(stem: str) -> str:
    stem = stem.replace(".processor.", ".")
    if stem.startswith("text_encoder"):
        for slot, name in (("to_q", "q_proj"), ("to_k", "k_proj"), ("to_v", "v_proj"), ("to_out", "out_proj")):
            stem = stem.replace(slot, name)
    return stem + ".0" if stem.endswith(".to_out") else stem


_SD1 = {
    f"lora_unet_{_ATTN}": ((640, 768), 1.0),
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0": ((1280, 1280), 8.0),
    "lora_unet_up_blocks_1_attentions_2_transformer_blocks_0_ff_net_0_proj": ((64, 16), 0.5),
    "lora_unet_down_blocks_0_resnets_0_conv1": ((32, 16, 3, 3), 3.0),
    "lora_unet_down_blocks_0_resnets_0_time_emb_proj": ((32, 16), 3.0),
    "lora_unet_up_blocks_0_resnets_2_conv_shortcut": ((32, 16, 1, 1), 3.0),
    "lora_unet_down_blocks_0_downsamplers_0_conv": ((32, 16, 3, 3), 3.0),
    "lora_unet_down_blocks_0_attentions_1_proj_in": ((32, 16, 1, 1), 3.0),
    "lora_te_text_model_encoder_layers_11_self_attn_q_proj": ((24, 24), 1.5),
    "lora_te_text_model_encoder_layers_11_self_attn_out_proj": ((24, 24), 1.5),
}


def test_kohya_files_of_sd1_give_the_update_that_diffusers_makes_of_them(tmp_path: Path, normal: Normal) -> None:
    tensors = _kohya(normal, _SD1)
    read = _read(tmp_path, tensors, {"ss_seed": "7"})
    assert (read.format, read.residue, read.families[0]) == ("kohya", (), "sd1")
    assert read.metadata == {"ss_seed": "7"}
    theirs = _as_diffusers_reads(StableDiffusionPipeline, tensors)
    ours = dense_of(read)
    assert set(theirs) == set(ours)
    for name, update in theirs.items():
        torch.testing.assert_close(ours[name], update, atol=0, rtol=1e-7)


_SDXL = {
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k": ((640, 2048), 1.0),
    "lora_unet_input_blocks_8_1_transformer_blocks_9_ff_net_2": ((64, 16), 1.0),
    "lora_unet_middle_block_1_transformer_blocks_3_attn1_to_out_0": ((64, 64), 8.0),
    "lora_unet_middle_block_1_proj_in": ((64, 64), 8.0),
    "lora_unet_output_blocks_2_1_transformer_blocks_9_attn1_to_v": ((64, 64), 1.0),
    "lora_unet_input_blocks_1_0_in_layers_2": ((32, 16, 3, 3), 1.0),
    "lora_unet_input_blocks_4_0_skip_connection": ((32, 16, 1, 1), 1.0),
    "lora_unet_middle_block_0_emb_layers_1": ((32, 16), 1.0),
    "lora_unet_output_blocks_8_0_out_layers_3": ((32, 16, 3, 3), 1.0),
    "lora_unet_input_blocks_3_0_op": ((32, 16, 3, 3), 1.0),
    "lora_unet_output_blocks_5_2_conv": ((32, 16, 3, 3), 1.0),
    "lora_te1_text_model_encoder_layers_3_self_attn_v_proj": ((24, 24), 1.5),
    "lora_te2_text_model_encoder_layers_31_mlp_fc2": ((24, 24), 1.5),
}


def test_kohya_files_of_sdxl_give_the_update_that_diffusers_makes_of_them(tmp_path: Path, normal: Normal) -> None:
    tensors = _kohya(normal, _SDXL)
    read = _read(tmp_path, tensors)
    assert (read.format, read.residue, read.families[0]) == ("kohya", (), "sdxl")
    theirs = _as_diffusers_reads(StableDiffusionXLPipeline, tensors, unet_config=SimpleNamespace(layers_per_block=2))
    ours = dense_of(read)
    assert set(theirs) == set(ours)
    for name, update in theirs.items():
        torch.testing.assert_close(ours[name], update, atol=0, rtol=1e-7)


def test_kohya_files_of_flux_give_the_update_that_diffusers_makes_of_them(tmp_path: Path, normal: Normal) -> None:
    stems = {
        "lora_unet_double_blocks_0_img_attn_qkv": ((9216, 16), 8.0),
        "lora_unet_double_blocks_18_txt_attn_qkv": ((9216, 16), 1.0),
        "lora_unet_double_blocks_3_img_attn_proj": ((3072, 16), 1.0),
        "lora_unet_double_blocks_3_txt_mlp_2": ((3072, 16), 1.0),
        "lora_unet_double_blocks_3_img_mod_lin": ((64, 16), 1.0),
        "lora_unet_single_blocks_37_linear1": ((21504, 16), 4.0),
        "lora_unet_single_blocks_37_linear2": ((3072, 16), 1.0),
        "lora_unet_single_blocks_0_modulation_lin": ((64, 16), 1.0),
    }
    tensors = _kohya(normal, stems)
    read = _read(tmp_path, tensors)
    assert (read.residue, read.families[0], len(read.factors)) == ((), "flux", 3 + 3 + 3 + 4 + 2)
    converted = lora_conversion_utils._convert_kohya_flux_lora_to_diffusers(copy.copy(tensors))
    stems_there = {name.removesuffix(".lora_A.weight") for name in converted if name.endswith("lora_A.weight")}
    assert stems_there == set(read.factors)
    for stem in stems_there:
        theirs = converted[f"{stem}.lora_B.weight"].double() @ converted[f"{stem}.lora_A.weight"].double()
        torch.testing.assert_close(dense(read.factors[stem]), theirs, atol=1e-6, rtol=1e-6)


def test_kohya_files_of_sd3_are_read_where_diffusers_has_no_branch(tmp_path: Path, normal: Normal) -> None:
    d = 1536
    stems = {
        "lora_unet_joint_blocks_0_x_block_attn_qkv": ((3 * d, d), 1.0),
        "lora_unet_joint_blocks_5_context_block_attn_proj": ((d, d), 1.0),
        "lora_unet_joint_blocks_23_context_block_adaLN_modulation_1": ((2 * d, d), 1.0),
        "lora_unet_joint_blocks_22_context_block_adaLN_modulation_1": ((6 * d, d), 1.0),
        "lora_te3_encoder_block_0_layer_0_SelfAttention_q": ((24, 24), 1.0),
    }
    tensors = _kohya(normal, stems)
    read = _read(tmp_path, tensors)
    assert (read.residue, read.families[0]) == ((), "sd3")
    assert "text_encoder_3.encoder.block.0.layer.0.SelfAttention.q" in read.factors
    stem = "lora_unet_joint_blocks_0_x_block_attn_qkv"
    whole = 0.5 * tensors[f"{stem}.lora_up.weight"].double() @ tensors[f"{stem}.lora_down.weight"].double()
    parts = [dense(read.factors[f"transformer.transformer_blocks.0.attn.{side}"]) for side in ("to_q", "to_k", "to_v")]
    assert torch.equal(torch.cat(parts), whole)
    # diffusers' last block takes scale before shift, all others and the original code shift before scale
    up = tensors["lora_unet_joint_blocks_23_context_block_adaLN_modulation_1.lora_up.weight"]
    last = read.factors["transformer.transformer_blocks.23.norm1_context.linear"].up
    assert torch.equal(last, torch.cat([up[d:], up[:d]]))
    up = tensors["lora_unet_joint_blocks_22_context_block_adaLN_modulation_1.lora_up.weight"]
    assert torch.equal(read.factors["transformer.transformer_blocks.22.norm1_context.linear"].up, up)


def test_t5_is_the_second_text_encoder_of_flux(tmp_path: Path, normal: Normal) -> None:
    stems = {
        "lora_unet_single_blocks_0_linear2": ((16, 16), 1.0),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1": ((24, 24), 1.0),
        "lora_te3_encoder_block_3_layer_1_DenseReluDense_wi_0": ((24, 24), 1.0),
    }
    assert set(_read(tmp_path, _kohya(normal, stems)).factors) == {
        "transformer.single_transformer_blocks.0.proj_out",
        "text_encoder.text_model.encoder.layers.0.mlp.fc1",
        "text_encoder_2.encoder.block.3.layer.1.DenseReluDense.wi_0",
    }


def test_alpha_is_a_modules_own_and_the_rank_where_it_is_missing(tmp_path: Path, normal: Normal) -> None:
    tensors = _kohya(normal, {f"lora_unet_{_ATTN}": ((8, 8), 1.0), "lora_unet_conv_in": ((8, 4, 3, 3), 6.0)}, rank=4)
    del tensors[f"lora_unet_{_ATTN}.alpha"]
    assert {name: f.scale for name, f in _read(tmp_path, tensors).factors.items()} == {_MODULE: 1.0, "unet.conv_in": 1.5}


def test_a_flattened_name_that_no_model_has_stays_as_it_is(tmp_path: Path, normal: Normal) -> None:
    stems = {
        "lora_unet_my_new_layer_7": ((8, 8), 1.0),
        "lora_te2_odd": ((8, 8), 1.0),
        "lycoris_mid_block_resnets_0_conv2": ((8, 8), 1.0),
    }
    read = _read(tmp_path, _kohya(normal, stems))
    assert set(read.factors) == {"unet.my_new_layer_7", "text_encoder_2.odd", "unet.mid_block.resnets.0.conv2"}


# LyCORIS


def test_lycoris_modules_of_every_kind_in_one_file(tmp_path: Path, normal: Normal) -> None:
    block = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0"
    conv = "lora_unet_down_blocks_0_resnets_0_conv1"
    tensors = {
        f"{block}_attn2_to_k.hada_w1_a": normal(16, 2),
        f"{block}_attn2_to_k.hada_w1_b": normal(2, 768),
        f"{block}_attn2_to_k.hada_w2_a": normal(16, 2),
        f"{block}_attn2_to_k.hada_w2_b": normal(2, 768),
        f"{block}_attn2_to_k.alpha": torch.tensor(1.0),
        f"{conv}.hada_w1_a": normal(16, 2),
        f"{conv}.hada_w1_b": normal(2, 8 * 9),
        f"{conv}.hada_w2_a": normal(16, 2),
        f"{conv}.hada_w2_b": normal(2, 8 * 9),
        f"{block}_attn1_to_q.lokr_w1": normal(4, 4),
        f"{block}_attn1_to_q.lokr_w2_a": normal(4, 2),
        f"{block}_attn1_to_q.lokr_w2_b": normal(2, 4),
        f"{block}_attn1_to_q.alpha": torch.tensor(6.0),
        f"{block}_attn1_to_k.lokr_w1": normal(4, 4),
        f"{block}_attn1_to_k.lokr_w2": normal(4, 4),
        f"{block}_attn1_to_k.alpha": torch.tensor(6.0),
        "lora_unet_conv_in.lora_down.weight": normal(3, 8, 1, 1),
        "lora_unet_conv_in.lora_mid.weight": normal(3, 3, 3, 3),
        "lora_unet_conv_in.lora_up.weight": normal(16, 3, 1, 1),
        "lora_unet_conv_in.alpha": torch.tensor(1.5),
        "lora_unet_down_blocks_0_attentions_0_proj_in.lokr_w1": normal(4, 4),
        "lora_unet_down_blocks_0_attentions_0_proj_in.lokr_w2": normal(4, 2),
    }
    strange = {
        "lora_unet_conv_out.diff": normal(4),
        "lora_unet_conv_out.diff_b": normal(4),
        "lora_unet_a.oft_blocks": normal(2, 2),
    }
    read = _read(tmp_path, tensors | strange)
    assert (read.format, read.residue) == ("lycoris", tuple(sorted(strange)))
    ours = dense_of(read)
    names = {name.rpartition(".")[2]: name for name in ours}
    t = {name.removeprefix(f"{block}_"): tensor.double() for name, tensor in tensors.items()}

    def loha(stem: str) -> Tensor:
        a1, b1, a2, b2 = (t[f"{stem}.hada_{w}"] for w in ("w1_b", "w1_a", "w2_b", "w2_a"))
        return functional.loha.diff_weight(a1, b1, a2, b2, None, None)

    torch.testing.assert_close(ours[names["to_k"].replace("attn1", "attn2")], loha("attn2_to_k") / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours["unet.down_blocks.0.resnets.0.conv1"], loha(conv).reshape(16, 8, 3, 3), atol=1e-5, rtol=0)
    kron = torch.kron(t["attn1_to_q.lokr_w1"], t["attn1_to_q.lokr_w2_a"] @ t["attn1_to_q.lokr_w2_b"])
    torch.testing.assert_close(ours[names["to_q"]], 3 * kron, atol=1e-5, rtol=0)
    kron = torch.kron(t["attn1_to_k.lokr_w1"], t["attn1_to_k.lokr_w2"])
    torch.testing.assert_close(ours[names["to_q"].replace("to_q", "to_k")], kron, atol=1e-6, rtol=0)
    tucker = functional.locon.diff_weight(*(t[f"lora_unet_conv_in.lora_{side}.weight"] for side in ("down", "up", "mid")))
    torch.testing.assert_close(ours["unet.conv_in"], tucker / 2, atol=1e-5, rtol=0)
    # Stable Diffusion 1 projects with convolutions, whose kernel LoKr flattens away
    assert ours["unet.down_blocks.0.attentions.0.proj_in"].shape == (16, 8, 1, 1)


def test_the_scale_is_not_applied_twice_as_in_lycoris_own_loha_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = LohaModule("lora_unet_mid_block_resnets_0_time_emb_proj", nn.Linear(12, 10), lora_dim=2, alpha=1)
    nn.init.normal_(module.hada_w2_a)
    state = {f"lora_unet_mid_block_resnets_0_time_emb_proj.{name}": t for name, t in module.state_dict().items()}
    ours = dense(_read(tmp_path, state).factors["unet.mid_block.resnets.0.time_emb_proj"])
    right = (module.hada_w1_a @ module.hada_w1_b) * (module.hada_w2_a @ module.hada_w2_b)
    torch.testing.assert_close(ours.float(), right.detach() / 2, atol=1e-6, rtol=0)
    x = torch.randn(3, 12)
    torch.testing.assert_close(x @ ours.float().T, (module(x) - module.org_forward(x)).detach(), atol=1e-6, rtol=0)
    twice, _ = module.get_diff_weight()
    torch.testing.assert_close(ours.float() / 2, twice.detach(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("shape", "kept"),
    [((16, 1), (16, 1)), ((16,), (16, 1)), ((1, 8), (1, 8)), ((8, 1), None), ((1, 16), None), ((1,), None)],
)
def test_dora_scales_are_kept(tmp_path: Path, normal: Normal, shape: tuple[int, ...], kept: tuple[int, ...] | None) -> None:
    tensors = _kohya(normal, {f"lora_unet_{_ATTN}": ((16, 8), 1.0)}) | {f"lora_unet_{_ATTN}.dora_scale": normal(*shape)}
    if kept is None:
        with pytest.raises(AdapterError, match="has a magnitude of shape"):
            _read(tmp_path, tensors)
        return
    read = _read(tmp_path, tensors)
    assert (read.format, read.residue) == ("kohya", ())
    assert {name: tuple(m.shape) for name, m in read.magnitudes.items()} == {_MODULE: kept}
    assert torch.equal(read.magnitudes[_MODULE].flatten(), tensors[f"lora_unet_{_ATTN}.dora_scale"].flatten())


def test_dora_scales_are_cut_with_their_layer(tmp_path: Path, normal: Normal) -> None:
    stem = "lora_unet_single_blocks_0_linear1"
    tensors = _kohya(normal, {stem: ((28, 4), 1.0)}) | {f"{stem}.dora_scale": torch.arange(28.0)[:, None]}
    read = _read(tmp_path, tensors)
    block = "transformer.single_transformer_blocks.0"
    assert read.magnitudes[f"{block}.attn.to_k"].flatten().tolist() == [4, 5, 6, 7]
    assert read.magnitudes[f"{block}.proj_mlp"].shape == (16, 1)


# ComfyUI and ai-toolkit


@pytest.mark.parametrize(
    ("down", "up", "module"),
    [
        ("lora_A.weight", "lora_B.weight", "transformer.transformer_blocks.0.attn.to_out.0"),
        ("lora_A.default.weight", "lora_B.default.weight", "transformer.transformer_blocks.0.attn.to_out.0"),
        ("lora_A", "lora_B", "transformer.transformer_blocks.0.attn.to_out.0"),
        ("lora_down.weight", "lora_up.weight", "transformer.transformer_blocks.0.attn.to_out.0"),
    ],
)
@pytest.mark.parametrize("prefix", ["diffusion_model.", "model.diffusion_model."])
def test_comfyui_and_ai_toolkit_names(tmp_path: Path, normal: Normal, prefix: str, down: str, up: str, module: str) -> None:
    stem = f"{prefix}double_blocks.0.img_attn.proj"
    read = _read(tmp_path, {f"{stem}.{down}": normal(2, 8), f"{stem}.{up}": normal(8, 2)})
    assert {name: f.scale for name, f in read.factors.items()} == {module: 1.0}
    assert read.format == "comfyui"
    read = _read(tmp_path, {f"{stem}.{down}": normal(2, 8), f"{stem}.{up}": normal(8, 2), f"{stem}.alpha": torch.tensor(1.0)})
    assert read.factors[module].scale == 0.5


def test_comfyui_names_of_unets_text_encoders_and_of_models_that_we_do_not_know(tmp_path: Path, normal: Normal) -> None:
    stems = {
        "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k": _MODULE,
        "diffusion_model.down_blocks.0.odd": "unet.down_blocks.0.odd",
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1": "text_encoder.text_model.encoder.layers.0.mlp.fc1",
        "text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc1": "text_encoder_2.text_model.encoder.layers.0.mlp.fc1",
        "text_encoders.t5xxl.transformer.encoder.final": "text_encoder_3.encoder.final",
    }
    tensors = {f"{stem}.{side}": normal(8, 8) for stem in stems for side in ("lora_A.weight", "lora_B.weight")}
    assert set(_read(tmp_path, tensors).factors) == set(stems.values())
    strange = {"diffusion_model.blocks.3.odd": "transformer.blocks.3.odd", "diffusion_model.tower.odd": "unknown.tower.odd"}
    tensors = {f"{stem}.{side}": normal(8, 8) for stem in strange for side in ("lora_A.weight", "lora_B.weight")}
    assert set(_read(tmp_path, tensors).factors) == set(strange.values())


# cloneofsimo


def test_positions_of_cloneofsimo_become_names_whose_shapes_fit_the_base(loras: Path) -> None:
    from oracles.bases import layers_of

    read = load_adapter(loras / "cloneofsimo-disney.safetensors")
    assert (read.format, read.families[0], read.residue) == ("cloneofsimo", "sd1", ("<s1>", "<s2>"))
    shapes = {f"unet.{name}": shape for name, shape in layers_of("sd1").items()}
    shapes |= {f"text_encoder.text_model.{name}": shape for name, shape in layers_of("clip_l").items()}
    assert len(read.factors) == 16 * 9 + 12 * 4
    for name, f in read.factors.items():
        assert (f.up.shape[0], f.down.shape[1]) == shapes[name], name
    assert {f.scale for f in read.factors.values()} == {1.0}


@pytest.mark.parametrize("classes", ["", '["CLIPAttention"]', '["Odd", "Attention"]', "[" * 99_999, "3", '[["Attention"]]'])
def test_positions_without_a_walk_that_fits_stay_positions(tmp_path: Path, normal: Normal, classes: str) -> None:
    tensors = {"unet:0:down": normal(1, 8), "unet:0:up": normal(8, 1), "unet:7:down": normal(1, 8), "unet:7:up": normal(8, 1)}
    assert set(_read(tmp_path, tensors, {"unet": classes}).factors) == {"unet.0", "unet.7"}
    if not classes:
        assert set(_read(tmp_path, tensors, {"unet": json.dumps(["Attention"])}).factors) == {"unet.0", "unet.7"}


# what no dialect can be trusted with


def test_a_bundled_embedding_is_residue(tmp_path: Path, normal: Normal) -> None:
    tensors = _kohya(normal, {f"lora_unet_{_ATTN}": ((8, 8), 1.0)})
    strange = {"bundle_emb.anna.string_to_param.*": normal(2, 768), "bundle_emb.anna.lora_A.weight": normal(2, 2)}
    assert _read(tmp_path, tensors | strange).residue == tuple(sorted(strange))


def test_the_same_layer_under_two_names_is_refused(tmp_path: Path, normal: Normal) -> None:
    stems = {f"lora_unet_{_ATTN}": ((8, 8), 1.0)}
    other = {f"{_MODULE}.lora_A.weight": normal(2, 8), f"{_MODULE}.lora_B.weight": normal(8, 2)}
    with pytest.raises(AdapterError, match=r"attn2\.to_k stands there twice"):
        _read(tmp_path, _kohya(normal, stems) | other)
    stems = {
        "lora_unet_single_blocks_0_linear1": ((28, 4), 1.0),
        "lora_unet_single_transformer_blocks_0_attn_to_k": ((4, 4), 1.0),
    }
    with pytest.raises(AdapterError, match=r"attn.to_k stands there twice"):
        _read(tmp_path, _kohya(normal, stems))


def test_rows_that_cannot_be_cut_are_refused(tmp_path: Path, normal: Normal) -> None:
    with pytest.raises(AdapterError, match="has 8 rows, which cannot be cut in 3"):
        _read(tmp_path, _kohya(normal, {"lora_unet_double_blocks_0_img_attn_qkv": ((8, 4), 1.0)}))


def _loha(stem: str, out: int, rank: int, columns: int) -> dict[str, Tensor]:
    shapes = {"a": (out, rank), "b": (rank, columns)}
    return {f"{stem}.hada_w{n}_{side}": torch.zeros(shape, dtype=torch.half) for n in "12" for side, shape in shapes.items()}


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"comes to [\d,]+ numbers, more than 134,217,728"):
        _read(tmp_path, _loha("lora_unet_conv_in", 2**14, 128, 2**14))
    kron = {"lora_unet_conv_in.lokr_w1": torch.zeros(1024, 1024), "lora_unet_conv_in.lokr_w2": torch.zeros(1024, 1)}
    with pytest.raises(AdapterError, match=r"is 1048576 wide, more than 131072"):
        _read(tmp_path, kron)


def test_all_modules_together_may_not_be_larger_than_memory_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loraleak.adapters.opening._MAX_NUMBERS", 1000)
    with pytest.raises(AdapterError, match=r"factors come to 3,072 numbers, more than 1,000: .*loraleak inspect"):
        _read(tmp_path, _loha("lora_unet_conv_in", 32, 8, 64))
