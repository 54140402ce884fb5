"""Kohya's own networks against our reader and writer: the same layers, and the same update in each.

    python benchmarks/trainers.py --musubi DIR/musubi-tuner --sd-scripts DIR/sd-scripts

Both are checkouts of github.com/kohya-ss, whose requirements must be installed. Their models are built without weights, with one block
of each kind; their networks make the adapters. Each adapter is saved, read by us, written by us in kohya's layout, and loaded by them.
Prints one row a family: layers, how many of them we did not place in the family, and the largest relative error of `dW x` (x drawn
from a normal distribution) of reading and of writing.
"""

import argparse
import contextlib
import importlib
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from loraleak.adapters import load_adapter, open_adapter, save_adapter
from loraleak.adapters.modules import Module
from loraleak.families import titles
from loraleak.types import Adapter

RANK, ALPHA = 2, 1.0
ROLES = ("lora_down.weight", "lora_up.weight", "alpha")
Make = Callable[[], nn.Module]


def _flux() -> nn.Module:
    models = importlib.import_module("library.flux_models")
    axes = {"axes_dim": [16, 56, 56], "theta": 10_000, "qkv_bias": True, "guidance_embed": True}
    sizes = {"vec_in_dim": 768, "context_in_dim": 4096, "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24}
    model: nn.Module = models.Flux(models.FluxParams(in_channels=64, depth=1, depth_single_blocks=1, **sizes, **axes))
    return model


def _lumina() -> nn.Module:
    sizes = {"n_layers": 1, "n_refiner_layers": 1, "n_heads": 24, "n_kv_heads": 8, "cap_feat_dim": 2304}
    model: nn.Module = importlib.import_module("library.lumina_models").NextDiT(
        in_channels=16, dim=2304, axes_dims=[32, 32, 32], axes_lens=[300, 512, 512], **sizes
    )
    return model


def _sd3() -> nn.Module:
    models = importlib.import_module("library.sd3_models")
    widths = {"adm_in_channels": 2048, "context_embedder_in_features": 4096, "context_embedder_out_features": 1536}
    model: nn.Module = models.MMDiT(input_size=None, in_channels=16, pos_embed_max_size=192, depth=24, **widths)
    return model


def _anima() -> nn.Module:
    sizes = {"max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16}
    model: nn.Module = importlib.import_module("library.anima_models").Anima(
        **sizes,
        patch_spatial=2,
        patch_temporal=1,
        model_channels=2048,
        num_blocks=1,
        num_heads=16,
        pos_emb_cls="rope3d",
        use_adaln_lora=True,
    )
    return model


def _qwen() -> nn.Module:
    model: nn.Module = importlib.import_module("musubi_tuner.qwen_image.qwen_image_model").QwenImageTransformer2DModel(
        num_layers=1
    )
    return model


def _z_image() -> nn.Module:
    model: nn.Module = importlib.import_module("musubi_tuner.zimage.zimage_model").ZImageTransformer2DModel(n_layers=1)
    return model


def _wan() -> nn.Module:
    sizes = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 1}
    model: nn.Module = importlib.import_module("musubi_tuner.wan.modules.model").WanModel(model_type="t2v", **sizes)
    return model


def _flux2() -> nn.Module:
    models = importlib.import_module("musubi_tuner.flux_2.flux2_models")
    params = models.Flux2Params()
    params.depth, params.depth_single_blocks = 1, 1
    model: nn.Module = models.Flux2(params, attn_mode="torch")
    return model


def _hunyuan() -> nn.Module:
    model: nn.Module = importlib.import_module("musubi_tuner.hunyuan_model.models").HYVideoDiffusionTransformer(
        4096, 768, in_channels=16, mm_double_blocks_depth=1, mm_single_blocks_depth=1, guidance_embed=True, attn_mode="torch"
    )
    return model


def _krea2() -> nn.Module:
    models = importlib.import_module("musubi_tuner.krea2.krea2_mmdit")
    config = importlib.import_module("musubi_tuner.krea2.krea2_utils").single_mmdit_large_wide
    model: nn.Module = models.SingleStreamDiT(replace(config, layers=1))
    return model


SD_SCRIPTS: Mapping[str, tuple[str, Make]] = {
    "Flux.1": ("networks.lora_flux", _flux),
    "Stable Diffusion 3": ("networks.lora_sd3", _sd3),
    "Lumina 2": ("networks.lora_lumina", _lumina),
    "Anima": ("networks.lora_anima", _anima),
}
MUSUBI: Mapping[str, tuple[str, Make]] = {
    "Qwen-Image": ("musubi_tuner.networks.lora_qwen_image", _qwen),
    "Z-Image": ("musubi_tuner.networks.lora_zimage", _z_image),
    "Wan": ("musubi_tuner.networks.lora_wan", _wan),
    "Flux.2": ("musubi_tuner.networks.lora_flux_2", _flux2),
    "HunyuanVideo": ("musubi_tuner.networks.lora", _hunyuan),
    "Krea 2": ("musubi_tuner.networks.lora_krea2", _krea2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--musubi", type=Path)
    parser.add_argument("--sd-scripts", type=Path)
    asked = parser.parse_args()
    logging.disable()
    for checkout, cases in ((asked.sd_scripts, SD_SCRIPTS), (asked.musubi and asked.musubi / "src", MUSUBI)):
        if checkout is not None:
            sys.path.insert(0, str(checkout))
            for title, (network, make) in cases.items():
                print(_row(title, importlib.import_module(network), make), flush=True)


def _row(title: str, networks: Any, make: Make) -> str:
    torch.manual_seed(0)
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        with torch.device("meta"):
            model = make()
        create = networks.create_arch_network if hasattr(networks, "create_arch_network") else networks.create_network
        network = create(1.0, RANK, ALPHA, None, [nn.Identity()], model)
        theirs = {lora.lora_name: lora for lora in network.unet_loras}
        for lora in theirs.values():
            nn.init.normal_(lora.lora_up.weight)
        file, again = Path(folder) / "theirs.safetensors", Path(folder) / "ours.safetensors"
        save_file({f"{stem}.{role}": lora.state_dict()[role] for stem, lora in theirs.items() for role in ROLES}, file)
        ours, modules = load_adapter(file), open_adapter(file).contents.modules
        placed = {module.names["down"].partition(".")[0]: module for module in modules.values()}
        assert placed.keys() == theirs.keys()
        strange = [m for m in placed.values() if m.part.flat and m.layer.targets[0].endswith(m.part.path)]
        reading = max(_error(_of_ours(ours, placed[stem]), _of_theirs(lora)) for stem, lora in theirs.items())
        save_adapter(ours, again, "kohya")
        written = load_file(again)
        if hasattr(networks, "create_arch_network"):
            loaded = networks.create_arch_network_from_weights(1.0, written, [], model, for_inference=True)
        else:
            loaded, _ = networks.create_network_from_weights(
                1.0, None, None, [nn.Identity()], model, written, for_inference=True
            )
        back = {lora.lora_name: lora for lora in loaded.unet_loras}
        for stem, lora in back.items():
            lora.load_state_dict({role: written[f"{stem}.{role}"] for role in ROLES}, strict=False)
        assert back.keys() == theirs.keys()
        writing = max(_error(_of_theirs(back[stem]), _of_theirs(lora)) for stem, lora in theirs.items())
    told = titles(ours.families)
    layers = f"{len(theirs):3} layers, {len(strange)} not placed"
    return f"{title:20} read as {told:30} {layers}  reading {reading:.0e}  writing {writing:.0e}"


Update = Callable[[Tensor], Tensor]


def _of_theirs(lora: Any) -> tuple[int, Update]:
    up, down = lora.lora_up.weight.detach().double(), lora.lora_down.weight.detach().double()
    return down.shape[1], lambda x: float(lora.scale) * (up.flatten(1) @ (down.flatten(1) @ x))


def _of_ours(adapter: Adapter, module: Module) -> tuple[int, Update]:
    parts = [adapter.factors[target] for target in module.layer.targets]

    def update(x: Tensor) -> Tensor:
        rows = [(f.scale or 0.0) * (f.up.double().flatten(1) @ (f.down.double().flatten(1) @ x)) for f in parts]
        whole = torch.cat(rows)
        return whole.roll(len(whole) // 2, 0) if module.layer.swapped and len(whole) == 2 * len(x) else whole

    return parts[0].down.shape[1], update


def _error(ours: tuple[int, Update], theirs: tuple[int, Update]) -> float:
    x = torch.randn(theirs[0], dtype=torch.float64)
    expected = theirs[1](x)
    return float((ours[1](x) - expected).norm() / expected.norm())


if __name__ == "__main__":
    main()
