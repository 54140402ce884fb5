"""Files of newer families against diffusers' own converters: the same layers, and the same update in each."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from diffusers.loaders import lora_conversion_utils as theirs
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import load_adapter

_RANK = 2
Shapes = Mapping[str, tuple[int, int]]
Convert = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def _square(width: int, *names: str) -> Shapes:
    return dict.fromkeys(names, (width, width))


def _flux2(h: int) -> Shapes:
    block = "double_blocks.0."
    return {
        f"{block}img_attn.qkv": (3 * h, h),
        f"{block}txt_attn.qkv": (3 * h, h),
        f"{block}img_attn.proj": (h, h),
        f"{block}img_mlp.0": (6 * h, h),
        f"{block}txt_mlp.2": (h, 3 * h),
        "single_blocks.0.linear1": (9 * h, h),
        "single_blocks.0.linear2": (h, 4 * h),
    }


_WAN = {
    **_square(96, *(f"blocks.{i}.{a}_attn.{s}" for i in (0, 1) for a in ("self", "cross") for s in "qkvo")),
    **_square(96, *(f"blocks.{i}.cross_attn.{s}_img" for i in (0, 1) for s in "kv")),
    **{f"blocks.{i}.ffn.0": (192, 96) for i in (0, 1)},
    **{f"blocks.{i}.ffn.2": (96, 192) for i in (0, 1)},
}
_QWEN = {
    **_square(3072, *(f"transformer_blocks.0.attn.{s}" for s in ("to_q", "to_k", "to_out.0", "add_v_proj", "to_add_out"))),
    "transformer_blocks.0.img_mlp.net.0.proj": (12288, 3072),
    "transformer_blocks.0.txt_mod.1": (18432, 3072),
}
_Z_IMAGE = {
    **_square(3840, *(f"layers.0.attention.{s}" for s in ("to_q", "to_k", "to_v", "to_out.0"))),
    "layers.0.feed_forward.w1": (10240, 3840),
    "context_refiner.0.attention.to_q": (3840, 3840),
    "layers.0.adaLN_modulation.0": (15360, 256),
}
_HUNYUAN = {
    "double_blocks.0.img_attn_qkv": (9216, 3072),
    "double_blocks.0.txt_attn_qkv": (9216, 3072),
    "double_blocks.0.txt_mlp.fc1": (12288, 3072),
    "double_blocks.0.img_mod.linear": (18432, 3072),
    "single_blocks.0.linear1": (21504, 3072),
    "single_blocks.0.linear2": (3072, 15360),
    "single_blocks.0.modulation.linear": (9216, 3072),
}
_LUMINA = {
    "layers.0.attention.qkv": (3840, 2304),
    "layers.0.attention.out": (2304, 2304),
    **{f"layers.0.feed_forward.w{i}": (9216, 2304) if i != 2 else (2304, 9216) for i in (1, 2, 3)},
    "layers.0.adaLN_modulation.1": (9216, 1024),
}
_LTX = _square(2048, *(f"transformer_blocks.0.attn{n}.{s}" for n in (1, 2) for s in ("to_q", "to_k", "to_out.0")))
_ANIMA = {
    **_square(2048, "blocks.0.self_attn.q_proj", "blocks.0.self_attn.output_proj", "blocks.0.cross_attn.q_proj"),
    "blocks.0.cross_attn.k_proj": (2048, 1024),
    "blocks.0.mlp.layer1": (8192, 2048),
    "blocks.0.adaln_modulation_mlp.2": (6144, 256),
    "final_layer.linear": (64, 2048),
}
_KREA = {
    **_square(6144, "blocks.0.attn.wq", "blocks.0.attn.wo", "blocks.0.attn.gate"),
    "blocks.0.attn.wk": (1536, 6144),
    "blocks.0.mlp.up": (16384, 6144),
    "txtfusion.refiner_blocks.0.attn.wq": (2560, 2560),
    "first": (6144, 64),
}


def _ab(prefix: str, shapes: Shapes) -> dict[str, Tensor]:
    return {
        f"{prefix}{name}.lora_{side}.weight": torch.randn(_RANK, columns) if side == "A" else torch.randn(rows, _RANK)
        for name, (rows, columns) in shapes.items()
        for side in "AB"
    }


def _kohya(shapes: Shapes) -> dict[str, Tensor]:
    found = {}
    for name, (rows, columns) in shapes.items():
        stem = f"lora_unet_{name.replace('.', '_')}"
        found[f"{stem}.lora_down.weight"] = torch.randn(_RANK, columns)
        found[f"{stem}.lora_up.weight"] = torch.randn(rows, _RANK)
        found[f"{stem}.alpha"] = torch.tensor(1.0)
    return found


def _xlabs() -> dict[str, Tensor]:
    rows = {"double_blocks.0.processor.qkv_lora1": 9216, "double_blocks.0.processor.qkv_lora2": 9216}
    rows |= {"double_blocks.0.processor.proj_lora2": 3072, "single_blocks.0.processor.qkv_lora": 9216}
    found = {f"{name}.down.weight": torch.randn(_RANK, 3072) for name in rows}
    return found | {f"{name}.up.weight": torch.randn(count, _RANK) for name, count in rows.items()}


_CASES: dict[str, tuple[str, Callable[[], dict[str, Tensor]], Convert]] = {
    "flux2": ("flux2", lambda: _ab("diffusion_model.", _flux2(3072)), theirs._convert_non_diffusers_flux2_lora_to_diffusers),
    "flux2-kohya": ("flux2", lambda: _kohya(_flux2(4096)), theirs._convert_kohya_flux2_lora_to_diffusers),
    "wan": ("wan", lambda: _ab("diffusion_model.", _WAN), theirs._convert_non_diffusers_wan_lora_to_diffusers),
    "wan-musubi": ("wan", lambda: _kohya(_WAN), theirs._convert_musubi_wan_lora_to_diffusers),
    "qwen": ("qwen-image", lambda: _ab("diffusion_model.", _QWEN), theirs._convert_non_diffusers_qwen_lora_to_diffusers),
    "qwen-musubi": ("qwen-image", lambda: _kohya(_QWEN), theirs._convert_non_diffusers_qwen_lora_to_diffusers),
    "z-image": ("z-image", lambda: _ab("diffusion_model.", _Z_IMAGE), theirs._convert_non_diffusers_z_image_lora_to_diffusers),
    "z-image-musubi": ("z-image", lambda: _kohya(_Z_IMAGE), theirs._convert_non_diffusers_z_image_lora_to_diffusers),
    "hunyuan": ("hunyuan-video", lambda: _ab("", _HUNYUAN), theirs._convert_hunyuan_video_lora_to_diffusers),
    "lumina": ("lumina2", lambda: _ab("diffusion_model.", _LUMINA), theirs._convert_non_diffusers_lumina2_lora_to_diffusers),
    "ltx": ("ltx-video", lambda: _ab("diffusion_model.", _LTX), theirs._convert_non_diffusers_ltxv_lora_to_diffusers),
    "anima": ("anima", lambda: _ab("diffusion_model.", _ANIMA), theirs._convert_non_diffusers_anima_lora_to_diffusers),
    "krea2": ("krea2", lambda: _ab("diffusion_model.", _KREA), theirs._convert_non_diffusers_krea2_lora_to_diffusers),
    "xlabs": ("flux", _xlabs, theirs._convert_xlabs_flux_lora_to_diffusers),
}


@pytest.mark.parametrize("case", _CASES)
def test_the_update_is_the_one_that_diffusers_makes_of_the_file(case: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    family, make, convert = _CASES[case]
    tensors = make()
    save_file(tensors, tmp_path / "a.safetensors")
    ours = load_adapter(tmp_path / "a.safetensors")
    assert ours.families[0] == family and ours.residue == ()
    converted = convert(dict(tensors))
    names = {name.removesuffix(".lora_A.weight") for name in converted if name.endswith(".lora_A.weight")}
    assert set(ours.factors) == names
    for name in names:
        factors, up, down = ours.factors[name], converted[f"{name}.lora_B.weight"], converted[f"{name}.lora_A.weight"]
        probe = torch.randn(factors.down.shape[1], dtype=torch.float64)
        assert factors.scale is not None
        update = factors.scale * (factors.up.double() @ (factors.down.double() @ probe))
        torch.testing.assert_close(update, up.double() @ (down.double() @ probe), rtol=4e-7, atol=1e-6)
