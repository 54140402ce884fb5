"""Files that are sound containers of hostile contents, from a source of choices."""

import json
import re
import struct
from collections.abc import Callable
from typing import Any

from loraleak.families import FAMILIES, Family, Layer

__all__ = ["ENDINGS", "PREFIXES", "TEXTS", "Choose", "hostile_file"]

Choose = Callable[[int, int], int]
"""A whole number between two, both included."""

_STEMS = (
    "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k",
    "lora_unet_down_blocks_0_resnets_0_conv1",
    "lora_unet_double_blocks_0_img_attn_qkv",
    "lora_unet_single_blocks_0_linear1",
    "lora_unet_joint_blocks_23_context_block_adaLN_modulation_1",
    "lora_unet_odd",
    "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "lora_te2_text_projection",
    "lora_te3_encoder_block_0_layer_0_SelfAttention_q",
    "lycoris_mid_block_resnets_0_conv2",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "transformer.transformer_blocks.0.attn.to_q",
    "transformer.transformer_blocks.0.attn.to_k",
    "transformer.transformer_blocks.0.attn.to_v",
    "transformer.single_transformer_blocks.0.proj_out",
    "base_model.model.text_model.encoder.layers.0.mlp.fc1",
    "base_model.model.mid_block.x",
    "diffusion_model.double_blocks.0.img_attn.qkv",
    "diffusion_model.input_blocks.1.1.proj_in",
    "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q",
    "bundle_emb.anna",
    "unet.a.to_q",
    "\u202e\x1b[31m<script>",
    "",
)
PREFIXES = (
    *("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_prior_unet_", "lora_transformer_", "lycoris_", "oft_unet_"),
    *("unet.", "transformer.", "transformer_2.", "text_encoder.", "text_encoder_2.", "prior.", "diffusion_model."),
    *("model.diffusion_model.", "base_model.model.", "text_encoders.clip_l.", "bundle_emb.", ""),
)
ENDINGS = (
    *("lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha", "dora_scale", "lora_A.weight", "lora_B.weight"),
    *("lora_A.default.weight", "lora_B", "lora_magnitude_vector", "lora.down.weight", "lora.up.weight", "diff", "w_norm"),
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "string_to_param.*"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "processor.to_q_lora.down.weight"),
    *("processor.qkv_lora1.down.weight", "processor.qkv_lora1.up.weight", "lora_A.weight.absmax", "oft_blocks", "diff_b"),
)
_LOOSE = ("unet:0:down", "unet:0:up", "text_encoder:1:up", "text_encoder:1:down", "<s1>", "x", "\ud800")
_SETS = (
    ("lora_down.weight", "lora_up.weight", "alpha"),
    ("lora_A.weight", "lora_B.weight"),
    ("lora_down.weight", "lora_mid.weight", "lora_up.weight", "dora_scale"),
    ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    ("hada_w1_a", "hada_w1_b", "hada_t1", "hada_w2_a", "hada_w2_b", "hada_t2"),
    ("lokr_w1", "lokr_w2"),
    ("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"),
    ("lokr_w1", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
)
_FIELDS = (
    *("ss_tag_frequency", "ss_datasets", "ss_dataset_dirs", "ss_bucket_info", "modelspec.thumbnail", "ss_training_started_at"),
    *(
        "ss_seed",
        "lora_adapter_metadata",
        "unet",
        "text_encoder",
        "unet:0:rank",
        "<s1>",
        "ot_config",
        "software",
        "x",
        "\x1b[2J",
    ),
)
_DTYPES = (
    ("F32", 4),
    ("F16", 2),
    ("BF16", 2),
    ("F64", 8),
    ("I8", 1),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
    ("I64", 8),
    ("F8_E8M0", 1),
)
TEXTS = (
    "",
    "<embed>",
    "anna",
    "/home/anna",
    "\x1b[2J\u202e<script>",
    "1e999",
    "None",
    "[" * 700,
    "data:image/png;base64,AAAA",
    "9" * 5000,
)


def hostile_file(choose: Choose) -> bytes:
    """Sometimes a usable LoRA; mostly one that is wrong in a place or two."""
    header: dict[str, Any] = {}
    body = bytearray()
    family = list(FAMILIES.values())[choose(0, len(FAMILIES) - 1)]
    for _ in range(choose(1, 4)):
        rank, out, inner = choose(1, 4), _pick((2, 6, 7, 12, 14), choose), _pick((2, 4, 9, 18, 768), choose)
        stem = _pick(_STEMS, choose)
        if choose(0, 3):
            stem, inner, out = _layer_of(family, choose)
        tails = _pick(_SETS, choose) if choose(0, 5) else tuple(_pick(ENDINGS, choose) for _ in range(choose(1, 4)))
        for tail in tails:
            _add(
                header,
                body,
                f"{stem}.{tail}" if choose(0, 20) else _pick(_LOOSE, choose),
                _shape(tail, rank, out, inner, choose),
                choose,
            )
    if choose(0, 2):
        header["__metadata__"] = {_pick(_FIELDS, choose): _value(choose) for _ in range(choose(0, 4))}
    text = json.dumps(header).encode()
    if not choose(0, 30):
        text = text.replace(b"0", b"1", 1)
    return struct.pack("<Q", len(text) + (0 if choose(0, 60) else choose(-3, 3))) + text + bytes(body)


def _layer_of(family: Family, choose: Choose) -> tuple[str, int, int]:
    """A layer in one of its names, with its columns and rows, which are mostly those of the family or can at least be cut."""
    path, layer = _pick(tuple(family.layers.items()), choose)
    layer = layer if isinstance(layer, Layer) else Layer((layer,))
    target = layer.targets[choose(0, len(layer.targets) - 1)]
    name = (path if choose(0, 1) else target).replace("#", str(choose(0, 60) if choose(0, 1) else 0))
    widths = [sorted(widths)[0] for pattern, widths in family.widths.items() if re.fullmatch(pattern, target.replace("#", "0"))]
    columns = widths[0] if widths and choose(0, 2) else _pick((4, 9, 12, 64), choose)
    rows = int(columns * layer.ratio) if layer.ratio else sum(layer.shares) * _pick((1, 2, 4, 6), choose)
    prefix = _pick(PREFIXES, choose)
    return prefix + (name.replace(".", "_") if prefix.endswith("_") else name), columns, rows


def _pick(items: tuple[Any, ...], choose: Choose) -> Any:
    return items[choose(0, len(items) - 1)]


def _shape(tail: str, rank: int, out: int, inner: int, choose: Choose) -> list[int]:
    if not choose(0, 15):
        return [_pick((0, 1, 2, 3, 2**17, 2**40), choose) for _ in range(choose(0, 5))]
    kernel = [3, 3] if not choose(0, 3) else []
    down, up = [rank, inner, *kernel], [out, rank, *(1 for _ in kernel)]
    by_tails = {
        ("lora_down.weight", "lora_A.weight", "lora_A.default.weight", "lora.down.weight"): down,
        ("lora_up.weight", "lora_B.weight", "lora_B", "lora.up.weight"): up,
        ("hada_w1_a", "hada_w2_a", "lokr_w1_a", "lokr_w2_a"): [out, rank],
        ("hada_w1_b", "hada_w2_b", "lokr_w1_b", "lokr_w2_b"): [rank, inner],
        ("lora_mid.weight", "hada_t1", "hada_t2", "lokr_t2"): [rank, rank, 3, 3],
        ("lokr_w1", "lokr_w2"): [out, rank],
        ("alpha",): [],
    }
    known = {name: shape for names, shape in by_tails.items() for name in names}
    return known.get(tail, _pick(([out], [out, 1], [1, inner], [1, out, 1, 1]), choose))


def _add(header: dict[str, Any], body: bytearray, name: str, shape: list[int], choose: Choose) -> None:
    dtype, width = _DTYPES[choose(0, 3) if choose(0, 15) else choose(0, len(_DTYPES) - 1)]
    count = 1
    for side in shape:
        count *= side
    size = count * width
    start = len(body)
    if size <= 2**16 and name not in header:
        byte = choose(0, 127) if choose(0, 12) else 0x7F
        body += bytes([0, 0, byte, 0x3F] if width == 4 else [byte, 0x3C][:width] or [0]) * (
            size // (4 if width == 4 else min(width, 2)) + 1
        )
        del body[start + size :]
    shift = 0 if choose(0, 25) else choose(-4, 4)
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start + shift, start + size]}


def _value(choose: Choose, depth: int = 0) -> str:
    if choose(0, 2) == 0:
        return str(_pick(TEXTS, choose))
    return json.dumps(_tree(choose, depth))


def _tree(choose: Choose, depth: int) -> Any:
    kind = choose(0, 6) if depth < 4 else 0
    if kind in (0, 1):
        return _pick(TEXTS, choose)
    if kind == 2:
        return _pick((0, -1, 3, 10**400, 1e308, True, None), choose)
    if kind == 3:
        return [_tree(choose, depth + 1) for _ in range(choose(0, 3))]
    keys = (
        "buckets",
        "count",
        "subsets",
        "image_dir",
        "img_count",
        "n_repeats",
        "r",
        "lora_alpha",
        "alpha_pattern",
        "unet.r",
        "anna",
    )
    return {_pick(keys, choose): _tree(choose, depth + 1) for _ in range(choose(0, 4))}
