"""Pocket's parts as one pipeline folder, like Stable Diffusion's."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer

from loraleak.bases import PocketAutoencoder
from loraleak.files import replacing_folder, write_json
from loraleak.pocket.denoiser import TextToLatents, build_scheduler

__all__ = ["save_pipeline"]


def save_pipeline(autoencoder: PocketAutoencoder, denoiser: TextToLatents, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write all parts in half precision, whole or not at all. The given models are converted in place."""
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16)
    denoiser.unet.to(memory_format=torch.contiguous_format)
    with replacing_folder(folder) as partial:
        pipeline.save_pretrained(partial)
        for config in partial.rglob("*.json"):
            _forget_where_from(config)
        shutil.rmtree(folder, ignore_errors=True)


def _forget_where_from(config: Path) -> None:
    content = json.loads(config.read_text("utf-8"))
    if "_name_or_path" in content:
        del content["_name_or_path"]
        write_json(config, content)
