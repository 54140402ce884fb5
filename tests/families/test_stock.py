"""Files of newer families, read and written, against diffusers' own loaders: the same layers, and the same update in each."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders import lora_conversion_utils as theirs
from diffusers.loaders import lora_pipeline
from safetensors.torch import save_file
from torch import Tensor

from loraleak.adapters import Layout, load_adapter, save_adapter
from loraleak.families import FAMILIES
from loraleak.types import Adapter, Factors
from oracles.bases import BASES, layers_of

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
_LTX2 = _LTX | _square(2048, "patchify_proj", "adaln_single.linear") | _square(1024, "audio_patchify_proj")
_HIDREAM = {
    **_square(2560, *(f"double_stream_blocks.0.block.attn1.to_{s}" for s in ("q", "k", "v", "out", "q_t", "out_t"))),
    "single_stream_blocks.0.block.ff_i.shared_experts.w1": (3584, 2560),
}
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


_BLOCKS = r".*blocks.*|final_layer\.linear"
_SWAPPED = r"final_layer\.adaLN"
"""diffusers swaps the halves of both factors there, which makes another product than swapping those of the update."""


def _flux(wanted: str) -> Shapes:
    """Layers of the original code, in as many blocks as diffusers' converters want."""
    found = {}
    for path, layer in FAMILIES["flux"].layers.items():
        targets = (layer,) if isinstance(layer, str) else layer.targets
        shapes = [layers_of("flux")[target.replace("#", "0")] for target in targets]
        for i in range({"double_blocks": 19, "single_blocks": 38}.get(path.partition(".")[0], 1)):
            found[path.replace("#", str(i))] = (sum(rows for rows, _ in shapes), shapes[0][1])
    own_of_xlabs = r"single_blocks\.\d+\.qkv"
    return {p: shape for p, shape in found.items() if re.fullmatch(wanted, p) and not re.fullmatch(own_of_xlabs, p)}


def _with_norms(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the control LoRAs have them, which are no low-rank updates."""
    blocks = [f"double_blocks.{i}.{s}_attn" for i in range(19) for s in ("img", "txt")]
    blocks += [f"single_blocks.{i}" for i in range(38)]
    norms = {f"{block}.norm.{s}_norm.scale": torch.ones(128) for block in blocks for s in ("query", "key")}
    swapped = {f"final_layer.adaLN_modulation.1.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}
    converted = theirs._convert_bfl_flux_control_lora_to_diffusers(tensors | norms | swapped)
    return {name: tensor for name, tensor in converted.items() if "norm_out" not in name}


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
    "flux-kontext": ("flux", lambda: _ab("base_model.model.", _flux(_BLOCKS)), theirs._convert_fal_kontext_lora_to_diffusers),
    "flux-control": ("flux", lambda: _ab("", _flux(rf"(?!{_SWAPPED}).*")), _with_norms),
    "ltx2": ("ltx2", lambda: _ab("diffusion_model.", _LTX2), theirs._convert_non_diffusers_ltx2_lora_to_diffusers),
    "hidream": ("hidream", lambda: _ab("diffusion_model.", _HIDREAM), theirs._convert_non_diffusers_hidream_lora_to_diffusers),
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
        _same_update(ours.factors[name], converted[f"{name}.lora_B.weight"], converted[f"{name}.lora_A.weight"])


def _same_update(ours: Factors, up: Tensor, down: Tensor) -> None:
    probe = torch.randn(ours.down.shape[1], dtype=torch.float64)
    torch.testing.assert_close(_applied(ours, probe), up.double() @ (down.double() @ probe), rtol=4e-7, atol=1e-6)


def _applied(ours: Factors, probe: Tensor) -> Tensor:
    assert ours.scale is not None
    return ours.scale * (ours.up.double() @ (ours.down.double() @ probe))


_FLUX2_LYCORIS = ("attn_to_q", "attn_to_out_0", "attn_add_k_proj", "ff_linear_in")
_LOKR: dict[str, tuple[dict[str, tuple[int, int]], Convert]] = {
    "z-image": (
        {f"diffusion_model.layers.0.attention.{s}": (240, 240) for s in ("to_q", "to_k", "to_out.0")},
        theirs._convert_non_diffusers_lokr_to_diffusers,
    ),
    "flux2": (
        {f"diffusion_model.{name}": (rows // 16, columns // 16) for name, (rows, columns) in _flux2(3072).items()},
        theirs._convert_non_diffusers_flux2_lokr_to_diffusers,
    ),
    "flux2-lycoris": (
        {f"lycoris_transformer_blocks_0_{name}": (1152 if "ff" in name else 192, 192) for name in _FLUX2_LYCORIS},
        theirs._convert_lycoris_flux2_lokr_to_diffusers,
    ),
}
_FUSED = {
    "to_qkv": ("to_q", "to_k", "to_v"),
    "to_added_qkv": ("add_q_proj", "add_k_proj", "add_v_proj"),
}


@pytest.mark.parametrize("rank", [None, 3], ids=["whole", "pair"])
@pytest.mark.parametrize("case", _LOKR)
def test_the_kronecker_product_is_the_one_that_diffusers_makes_of_the_file(case: str, rank: int | None, tmp_path: Path) -> None:
    """diffusers gives fused layers to peft whole; ours are their rows."""
    torch.manual_seed(0)
    shapes, convert = _LOKR[case]
    tensors = {}
    for stem, (rows, columns) in shapes.items():
        tensors[f"{stem}.lokr_w1"] = torch.randn(16, 16)
        tensors[f"{stem}.alpha"] = torch.tensor(1.5)
        if rank is None:
            tensors[f"{stem}.lokr_w2"] = torch.randn(rows, columns)
        else:
            tensors[f"{stem}.lokr_w2_a"], tensors[f"{stem}.lokr_w2_b"] = torch.randn(rows, rank), torch.randn(rank, columns)
    save_file(tensors, tmp_path / "a.safetensors")
    ours = load_adapter(tmp_path / "a.safetensors")
    assert ours.families[0] == case.removesuffix("-lycoris") and ours.residue == ()
    converted = convert(dict(tensors))
    seen = set()
    for name in sorted({key.partition(".lokr_")[0] for key in converted}):
        parent, _, leaf = name.rpartition(".")
        parts = [f"{parent}.{part}" for part in _FUSED.get(leaf, (leaf,))]
        seen.update(parts)
        left = converted[f"{name}.lokr_w1"].double()
        if rank is None:
            right = converted[f"{name}.lokr_w2"].double()
        else:
            right = converted[f"{name}.lokr_w2_a"].double() @ converted[f"{name}.lokr_w2_b"].double()
        probe = torch.randn(left.shape[1] * right.shape[1], dtype=torch.float64)
        expected = (left @ probe.reshape(left.shape[1], -1) @ right.T).flatten()
        update = torch.cat([_applied(ours.factors[part], probe) for part in parts])
        torch.testing.assert_close(update, expected, rtol=1e-5, atol=1e-4)
    assert seen == set(ours.factors)


_LOADERS: dict[str, Any] = {
    "sd3": lora_pipeline.SD3LoraLoaderMixin,
    "flux": lora_pipeline.FluxLoraLoaderMixin,
    "flux2": lora_pipeline.Flux2LoraLoaderMixin,
    "chroma": lora_pipeline.FluxLoraLoaderMixin,
    "qwen-image": lora_pipeline.QwenImageLoraLoaderMixin,
    "z-image": lora_pipeline.ZImageLoraLoaderMixin,
    "lumina2": lora_pipeline.Lumina2LoraLoaderMixin,
    "wan": lora_pipeline.WanLoraLoaderMixin,
    "hunyuan-video": lora_pipeline.HunyuanVideoLoraLoaderMixin,
    "ltx-video": lora_pipeline.LTXVideoLoraLoaderMixin,
    "ltx2": lora_pipeline.LTX2LoraLoaderMixin,
    "sana": lora_pipeline.SanaLoraLoaderMixin,
    "auraflow": lora_pipeline.AuraFlowLoraLoaderMixin,
    "cogvideox": lora_pipeline.CogVideoXLoraLoaderMixin,
    "krea2": lora_pipeline.Krea2LoraLoaderMixin,
    "anima": lora_pipeline.AnimaLoraLoaderMixin,
}
"""What diffusers loads files of these families with. PixArt has none there."""
_IN_BLOCKS = r"(single_|joint_)?transformer_blocks|layers|blocks"
_OWN_LAYOUTS = [(base, "diffusers") for base, family in BASES.items() if family in _LOADERS]
_OTHER_LAYOUTS = [
    (base, layout)
    for base in ("flux", "chroma", "flux2", "flux2-klein", "qwen-image", "z-image", "wan", "wan-small")
    for layout in ("kohya", "comfyui")
    if not (base.startswith("flux2") and layout == "comfyui")
]
"""diffusers has no branch for the others of our files: docs/formats.md tells why."""


@pytest.mark.parametrize(("base", "layout"), [*_OWN_LAYOUTS, *_OTHER_LAYOUTS])
def test_what_we_write_is_the_same_update_in_the_loader_of_diffusers(base: str, layout: Layout, tmp_path: Path) -> None:
    """Layers of the first blocks; diffusers' own layout also has those outside of blocks."""
    torch.manual_seed(0)
    family = FAMILIES[BASES[base]]
    factors = {
        f"{family.component}.{path}": Factors(torch.randn(1, shape[1]), torch.randn(shape[0], 1), 0.5)
        for path, shape in layers_of(base).items()
        if len(shape) == 2
        and family.whole(path) is not None
        and not re.search(r"(blocks|layers|refiner)\.[1-9]", path)
        and (layout == "diffusers" or re.match(_IN_BLOCKS, path))
    }
    save_adapter(Adapter(factors, "memory", families=(family.name,)), tmp_path / "a.safetensors", layout)
    loaded, *_, header = _LOADERS[family.name].lora_state_dict(str(tmp_path / "a.safetensors"), return_lora_metadata=True)
    scale = header[f"{family.component}.lora_alpha"] / header[f"{family.component}.r"] if header else 1.0
    assert {name.removesuffix(".lora_A.weight") for name in loaded if name.endswith(".lora_A.weight")} == set(factors)
    for name, ours in factors.items():
        _same_update(ours, scale * loaded[f"{name}.lora_B.weight"], loaded[f"{name}.lora_A.weight"])
