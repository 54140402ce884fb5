"""A dress rehearsal that is not pocket: python benchmarks/rehearsal.py work --faces FOLDER

It trains a small pipeline of Stable Diffusion's shape on photographs of people, 128 pixels a side, for some minutes. Then it runs
public commands alone: kit build, show and install, an audit with the photos of the right and of a wrong person, bench arms, bench
paper with one defence. It shows that nothing in the chain assumes pocket. It shows nothing about the strength of any attack, because
so small a pipeline draws blurs.

FOLDER holds identity folders, <person>/<image>.jpg, with 6 photos each. The last people, by name, are kept apart from the kit.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from loraleak.pocket.vocabulary import MAX_TOKENS, build_tokenizer

_SIDE = 128
_CLASS_PROMPT = "a photo of a person"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4, help="of training the pipeline")
    parser.add_argument("--apart", type=int, default=6, help="people who are not in the kit")
    parser.add_argument("--controls", type=int, default=19)
    parser.add_argument("--others", type=int, default=19)
    arguments = parser.parse_args()
    people, apart = _parted(arguments.faces, arguments.folder, arguments.apart)
    pipeline = arguments.folder / "pipeline"
    if not pipeline.exists():
        _train_pipeline([file for home in people.iterdir() for file in home.iterdir()], arguments.minutes).save_pretrained(
            pipeline
        )
    on, few = ("--base", pipeline, "--device", "cpu"), ("--images", 4, "--steps", 8)
    kit = arguments.folder / "kit.safetensors"
    _loraleak(
        "kit", "build", "--people", people, "-o", kit, "--work", arguments.folder / "kit-work", "--overwrite", *on,
        "--controls", arguments.controls, "--others", arguments.others, "--quality", 4, "--photos", 5, "--pictures", 4,
        "--sampler-steps", 8, "--train-steps", 60, "--train-batch", 16, "--ranks", 4, 8, "--steps", 40, 80, "--images", 3, 6,
        "--batch", 2, "--prior-batch", 1, "--class-count", 16, "--snapshots", 4, "--workers", 1, "--together", 8,
        "--source", "Face Research Lab London Set, DeBruine and Jones, doi 10.6084/m9.figshare.5047666", "--licence", "CC BY 4.0",
    )  # fmt: skip
    _loraleak("kit", "show", kit)
    _loraleak("kit", "install", kit)
    right, wrong = sorted(apart.iterdir())[:2]
    lora = arguments.folder / "lora.safetensors"
    _loraleak("finetune", right, "-o", lora, "--overwrite", "--steps", 80, "--batch", 2, "--class-count", 16, *on)
    for name, photos in {"right": right, "wrong": wrong}.items():
        out = arguments.folder / f"report-{name}"
        _loraleak("audit", lora, "--photos", photos, "-o", out, "--overwrite", "--fail-on", "never", *few, *on)
    victims = ("--people", apart, "--victims", 3, "--embedder", "faces", "--work", arguments.folder / "bench", *few, *on)
    _loraleak("bench", "arms", *victims, "--photos", 4, "--arms", "lora-class", "lora-z")
    _loraleak("bench", "paper", *victims, "--photos", 4, "--arms", "lora-class", "lora-z", "--defences", "scaling:factor=0.5")


def _parted(faces: Path, folder: Path, apart: int) -> tuple[Path, Path]:
    """Copies of the folders: people of the kit, and people kept apart from it."""
    homes = sorted(home for home in faces.iterdir() if home.is_dir())
    for name, mine in {"people": homes[:-apart], "apart": homes[-apart:]}.items():
        for home in mine:
            if not (folder / name / home.name).exists():
                shutil.copytree(home, folder / name / home.name)
    return folder / "people", folder / "apart"


def _loraleak(*arguments: object) -> None:
    shown = " ".join(str(argument) for argument in arguments)
    print(f"\n$ loraleak {shown}", flush=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "loraleak", *map(str, arguments)], check=True)
    print(f"({time.perf_counter() - start:.0f} s)", flush=True)


def _train_pipeline(files: list[Path], minutes: float) -> StableDiffusionPipeline:
    """Half of the minutes for the autoencoder, half for the denoiser."""
    torch.manual_seed(0)
    pictures = [np.asarray(Image.open(file).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)) for file in files]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(16, 32, 64, 64), layers_per_block=1, latent_channels=8, norm_num_groups=8, **blocks)

    def reconstruction(chosen: torch.Tensor) -> torch.Tensor:
        posterior = vae.encode(pixels[chosen]).latent_dist
        return F.l1_loss(vae.decode(posterior.sample()).sample, pixels[chosen]) + 1e-5 * posterior.kl().mean()

    _learn(reconstruction, vae.parameters(), len(pixels), batch=4, minutes=minutes / 2, name="autoencoder")
    with torch.no_grad():
        latents = torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(16)])
    vae.register_to_config(scaling_factor=1 / float(latents.std()))
    latents = latents * vae.config.scaling_factor
    tokenizer = build_tokenizer()
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=_SIDE // 8,
        in_channels=8,
        out_channels=8,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=64,
        norm_num_groups=8,
    )
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    ids = tokenizer([_CLASS_PROMPT, ""], padding="max_length", max_length=MAX_TOKENS, return_tensors="pt").input_ids

    def denoising(chosen: torch.Tensor) -> torch.Tensor:
        steps, noise = torch.randint(1000, (len(chosen),)), torch.randn(len(chosen), *latents.shape[1:])
        states = text_encoder(ids).last_hidden_state[(torch.rand(len(chosen)) < 0.1).long()]
        return F.mse_loss(unet(scheduler.add_noise(latents[chosen], noise, steps), steps, states).sample, noise)

    parameters = [*unet.parameters(), *text_encoder.parameters()]
    _learn(denoising, parameters, len(pixels), batch=16, minutes=minutes / 2, name="denoiser")
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _learn(loss, parameters, count: int, *, batch: int, minutes: float, name: str) -> None:
    optimiser = torch.optim.AdamW(parameters, lr=2e-3)
    end, steps = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        value = loss(torch.randint(count, (batch,)))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        steps += 1
    print(f"{name}: {steps} steps, loss {value.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
