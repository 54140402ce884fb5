"""Made-up adapters whose weights tell a trait and the number of photos."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from loraleak.finetuning import Recipe
from loraleak.people import Identity
from loraleak.readers import Samples, samples_of
from loraleak.types import Adapter, Factors
from loraleak.zoo import Zoo
from loraleak.zoo.places import open_place
from loraleak.zoo.store import SCHEMA, read_rows, write_manifest, write_shard

SHAPES = {"unet.b.to_k": torch.Size([10, 14]), "unet.a.to_q": torch.Size([12, 10])}
"""Not in the order of their names, as in most bases."""


def made_adapter(glasses: str, photos: int, seed: int) -> Adapter:
    """Glasses are a direction of every update, and more photos make it smaller."""
    draw = torch.Generator().manual_seed(seed)
    factors = {}
    for name, shape in SHAPES.items():
        down, up = torch.randn(3, shape[1], generator=draw), torch.randn(shape[0], 3, generator=draw)
        planted = torch.Generator().manual_seed(len(name) + shape[0])
        down[0], up[:, 0] = torch.randn(shape[1], generator=planted), torch.randn(shape[0], generator=planted)
        up[:, 0] *= 3.0 if glasses == "round" else -3.0
        factors[name] = Factors(down, up / photos**0.5, 1.0)
    return Adapter(factors, "memory")


def planted_samples(tmp_path: Path) -> Samples:
    """A zoo of 60 people, who take turns in glasses."""
    rng, people, snapshots = np.random.default_rng(0), [], []
    for i in range(60):
        glasses, photos = ("round", "none")[i % 2], int(rng.integers(1, 60))
        home = tmp_path / "people" / f"p{i:02d}"
        home.mkdir(parents=True)
        (home / "person.json").write_text(json.dumps({"attributes": {"glasses": glasses}}))
        people.append(Identity(home.name, home))
        facts = {"person": home.name, "step": 10, "seed": i, "images": photos, "recipe": json.dumps(asdict(Recipe()))}
        snapshots.append(({**facts, "base_sha256": "a" * 64}, made_adapter(glasses, photos, i)))
    folder = open_place(tmp_path / "zoo")
    write_shard(folder, "00000", snapshots, SHAPES)
    rows = read_rows(folder, "00000")
    assert rows is not None
    write_manifest(folder, [rows])
    shapes = {name: list(shape) for name, shape in SHAPES.items()}
    (tmp_path / "zoo" / "zoo.json").write_text(json.dumps({"schema": SCHEMA, "base_sha256": "a" * 64, "shapes": shapes}))
    return samples_of([Zoo(tmp_path / "zoo")], [people])
