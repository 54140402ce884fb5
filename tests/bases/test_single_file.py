"""Checkpoints in one file: what diffusers reads is read, pickles and what is no checkpoint are refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from loraleak.bases import load_base
from loraleak.errors import UsageError
from loraleak.families.stable_diffusion import _unet
from oracles.pipelines import RESOLUTION, tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline("sdxl", tmp_path_factory.mktemp("sdxl"))


def _as_the_original_code_names_it(unet: UNet2DConditionModel) -> Iterator[tuple[str, Tensor]]:
    loose = {
        **{"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0"},
        **{"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"},
        **{"conv_norm_out": "out.0", "conv_out": "out.2"},
    }
    resnet = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0"}
    resnet |= {"conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
    blocks = {new: old for old, new, _ in _unet((False, True, True))}
    blocks |= {"mid_block.resnets.0": "middle_block.0", "mid_block.resnets.1": "middle_block.2"}
    blocks["mid_block.attentions.0"] = "middle_block.1"
    for name, tensor in unet.state_dict().items():
        path, _, kind = name.rpartition(".")
        if path in loose:
            yield f"{loose[path]}.{kind}", tensor
            continue
        block = ".".join(path.split(".")[: 2 if path.startswith("mid_block") else 4])
        block = ".".join(path.split(".")[:3]) if path.startswith("mid_block") else block
        inner = path.removeprefix(f"{block}.")
        inner = resnet.get(inner, inner) if "resnets" in block else inner
        yield f"{blocks[block]}.{'op' if 'downsamplers' in block else inner}.{kind}", tensor


def test_a_unet_of_the_original_code_beside_a_pipeline_of_its_kind(folder: Path, tmp_path: Path) -> None:
    """The U-Net comes from the file; text encoders and autoencoder, which it lacks, from the folder."""
    other = load_base(str(folder), device="cpu", resolution=RESOLUTION)
    with torch.no_grad():
        for parameter in other.denoiser.parameters():
            parameter.mul_(1.1)
    tensors = {f"model.diffusion_model.{name}": t.clone() for name, t in _as_the_original_code_names_it(other.denoiser)}
    save_file(tensors, tmp_path / "base.safetensors")
    read = load_base(str(tmp_path / "base.safetensors"), config=str(folder), device="cpu", resolution=RESOLUTION)
    assert type(read).__name__ == "StableDiffusionXL"
    assert read.sha256 == other.sha256


def test_without_a_configuration_the_error_says_what_is_needed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # wherever these tests run
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)}, tmp_path / "base.safetensors")
    with pytest.raises(UsageError, match="offline, give a pipeline folder of the same kind with --base-config") as caught:
        load_base(str(tmp_path / "base.safetensors"), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_than_its_configuration_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    save_file({"strange": torch.zeros(2)}, tmp_path / "base.safetensors")
    with pytest.raises(UsageError) as caught:
        load_base(str(tmp_path / "base.safetensors"), config=str(folder / "nowhere"), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin", ".CKPT"])
def test_a_pickle_is_never_opened(tmp_path: Path, suffix: str) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "exploded"),)

    torch.save({"state_dict": Bomb()}, tmp_path / f"base{suffix}")
    with pytest.raises(UsageError, match=r"is a pickle .* never opened: take a \.safetensors file .* weights_only=True"):
        load_base(str(tmp_path / f"base{suffix}"), device="cpu")
    assert not (tmp_path / "exploded").exists()


def test_a_folder_with_pickled_weights_is_not_opened_either(tmp_path: Path) -> None:
    folder = tiny_pipeline("sd", tmp_path / "base")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_base(str(folder), device="cpu")


@pytest.mark.parametrize(("name", "says"), [("none.safetensors", "does not exist"), ("readme.txt", "is a .txt file")])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(UsageError, match=says):
        load_base(str(tmp_path / name), device="cpu")
