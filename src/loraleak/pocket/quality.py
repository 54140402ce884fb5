"""Measures of pocket's quality, on people that none of its parts has seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loraleak.bases import DiffusersBase, guided, sample
from loraleak.embedders.pocket import PocketEmbedder
from loraleak.files import replacing
from loraleak.people import CLASS_PROMPT, caption
from loraleak.pocket.renders import Renders
from loraleak.scores import auc, bootstrap_mean, gallery_ranks
from loraleak.types import Images

__all__ = ["JUDGED", "autoencoder_quality", "base_quality", "contact_sheet", "embedder_quality", "pictures_of"]

JUDGED = ("skin", "colour", "facial_hair", "glasses")
"""Attributes that pictures must take from their captions."""

_GUIDANCE_SCALE = 2.0
_BATCH = 50


def autoencoder_quality(base: DiffusersBase, renders: Renders) -> dict[str, Any]:
    """PSNR in dB of pictures after encode and decode, as shipped."""
    decoded = base.decode(base.encode(renders.images))
    error = (decoded.astype(np.float64) - renders.images).reshape(len(decoded), -1)
    values = 10 * np.log10(255**2 / np.square(error).mean(axis=1))
    return {"images": len(values), "psnr_db": float(values.mean()), "psnr_db_5th_percentile": float(np.quantile(values, 0.05))}


def embedder_quality(embedder: PocketEmbedder, renders: Renders) -> dict[str, Any]:
    """Verification over all pairs of pictures, rank-1 with one gallery picture a person, and accuracy on attributes."""
    vectors = embedder.embed(list(renders.images)).vectors
    who = np.repeat(np.arange(len(renders.people)), renders.looks_per_person)
    similarity = vectors @ vectors.T
    above = np.triu_indices(len(who), 1)
    same = (who[:, None] == who[None, :])[above]
    gallery, probes = vectors[:: renders.looks_per_person], np.arange(len(who)) % renders.looks_per_person > 0
    hits = [int(gallery_ranks(vectors[[i]], gallery, int(who[i]))[0] == 0) for i in np.flatnonzero(probes)]
    truth = [renders.person_of(i).attributes() for i in range(len(renders))]
    return {
        "people": len(renders.people),
        "images": len(who),
        "auc": auc(similarity[above][same], similarity[above][~same]),
        "rank1": float(np.mean(hits)),
        "judge_accuracy": _share_right(embedder.attributes(list(renders.images)), truth),
    }


def base_quality(base: DiffusersBase, judge: PocketEmbedder, renders: Renders, *, seed: int = 0) -> dict[str, Any]:
    """Share of pictures from full captions with each attribute right, and how varied the class prompt's people are."""
    prompts = [caption(renders.person_of(i), renders.looks[i]) for i in range(len(renders))]
    truth = [renders.person_of(i).attributes() for i in range(len(renders))]
    named = judge.attributes(list(pictures_of(base, prompts, seed=seed)))
    people = judge.attributes(list(pictures_of(base, [CLASS_PROMPT] * len(renders), seed=seed + 1)))
    right = {name: [float(a[name] == b[name]) for a, b in zip(named, truth, strict=True)] for name in JUDGED}
    intervals = {name: bootstrap_mean(np.array(values)) for name, values in right.items()}
    return {
        "captions": len(prompts),
        "guidance_scale": _GUIDANCE_SCALE,
        "right": {name: {"mean": i.mean, "low": i.low, "high": i.high} for name, i in intervals.items()},
        "class_prompt": {
            "images": len(people),
            "distinct_people": len({tuple(row.values()) for row in people}),
            "distinct_judged": len({tuple(row[name] for name in JUDGED) for row in people}),
        },
    }


def pictures_of(base: DiffusersBase, prompts: Sequence[str], *, seed: int, steps: int = 20) -> Images:
    """One picture of each prompt."""
    (empty,) = base.embed([""])
    made = []
    for start in range(0, len(prompts), _BATCH):
        conditions = base.embed(prompts[start : start + _BATCH])
        denoiser = guided(base, conditions, empty, _GUIDANCE_SCALE)
        made.append(sample(base, denoiser, len(conditions), seed=seed * 1000 + start, steps=steps))
    return np.concatenate(made)


def contact_sheet(base: DiffusersBase, renders: Renders, file: Path, *, rows: int = 4, columns: int = 8) -> None:
    """Write a PNG of four blocks: renders, their round trip, pictures of their captions, pictures of the class prompt."""
    count = rows * columns
    prompts = [caption(renders.person_of(i), renders.looks[i]) for i in range(count)]
    real = np.asarray(renders.images[:count])
    blocks = [
        real,
        base.decode(base.encode(real)),
        pictures_of(base, prompts, seed=0),
        pictures_of(base, [CLASS_PROMPT] * count, seed=1),
    ]
    gap = 6
    sheets = [_grid(block, columns) for block in blocks]
    height, width = sheets[0].shape[:2]
    sheet = np.full((2 * height + gap, 2 * width + gap, 3), 255, np.uint8)
    for i, block in enumerate(sheets):
        top, left = (i // 2) * (height + gap), (i % 2) * (width + gap)
        sheet[top : top + height, left : left + width] = block
    with replacing(file) as partial:
        Image.fromarray(sheet).save(partial, optimize=True)


def _grid(images: Images, columns: int) -> Images:
    count, height, width, _ = images.shape
    rows = count // columns
    tiles = images.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    grid: Images = tiles.reshape(rows * height, columns * width, 3)
    return grid


def _share_right(named: Sequence[dict[str, str]], truth: Sequence[dict[str, str]]) -> dict[str, float]:
    return {name: float(np.mean([a[name] == b[name] for a, b in zip(named, truth, strict=True)])) for name in truth[0]}
