"""`loraleak pocket build`: every stage from nothing, in order. It skips finished stages, and a killed stage goes on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loraleak.adapters import save_adapter
from loraleak.bases import PocketAutoencoder, load_base
from loraleak.bench import draw_cases, pictures
from loraleak.defences import finetune
from loraleak.embedders.pocket import PocketEmbedder
from loraleak.files import replacing_folder, write_json, write_text
from loraleak.finetuning import Recipe
from loraleak.kits import save_kit
from loraleak.pocket.denoiser import DenoiserRecipe, encode_renders, train_denoiser
from loraleak.pocket.embedder import EmbedderRecipe, train_embedder
from loraleak.pocket.image_autoencoder import AutoencoderRecipe, train_autoencoder
from loraleak.pocket.kit import CONTROLS_SEED, build_kit
from loraleak.pocket.known_leaks import write_known_leaks
from loraleak.pocket.pipeline import save_pipeline
from loraleak.pocket.quality import autoencoder_quality, base_quality, contact_sheet, embedder_quality
from loraleak.pocket.renders import Renders, render_split
from loraleak.pocket.shipped_attack import AttackRecipe
from loraleak.pocket.vocabulary import build_tokenizer
from loraleak.pocket.who_null import build_who_null

__all__ = ["BuildRecipe", "build_pocket"]

_DEMO_SEED = 7
_DEMO_TRIGGER = "zqkv"


@dataclass(frozen=True)
class BuildRecipe:
    """Settings that decide all that is built."""

    base_pictures: int = 60_000
    embedder_people: int = 6_000
    embedder_looks: int = 4
    test_people: int = 500
    controls: int = 99
    known_leaks: int = 5
    who_null: int = 19
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    denoiser: DenoiserRecipe = field(default_factory=DenoiserRecipe)
    embedder: EmbedderRecipe = field(default_factory=EmbedderRecipe)
    attack: AttackRecipe = field(default_factory=AttackRecipe)


def build_pocket(recipe: BuildRecipe, work: Path, out: Path) -> dict[str, Any]:
    """Train the parts, assemble them in half precision, measure them as shipped, and make kit and demo.

    Returns the metrics, which `out/build.json` holds too.

    `work` keeps renders, zoos, checkpoints and logs; `out` gets `pocket/`, `embedder/`, `kit.safetensors`,
    `known-leaks/`, `who-null.json`, `demo/` and the contact sheet.
    """
    out.mkdir(parents=True, exist_ok=True)
    _stage(out / "pocket", lambda folder: _train_base(recipe, work, folder))
    _stage(out / "embedder", lambda folder: _train_embedder(recipe, work, folder))
    metrics = _measured(recipe, work, out)
    base, embedder = load_base(str(out / "pocket")), PocketEmbedder.load(out / "embedder")
    if not (out / "kit.safetensors").exists():
        source = str((out / "pocket").resolve())
        save_kit(build_kit(base, embedder, source, recipe.attack, work, controls=recipe.controls), out / "kit.safetensors")
    people = draw_cases("controls", recipe.controls, seed=CONTROLS_SEED)[: recipe.known_leaks]
    _stage(out / "known-leaks", lambda folder: write_known_leaks(base, people, work / "controls", folder))
    if not (out / "who-null.json").exists():
        build_who_null(base, embedder, work / "who-null", count=recipe.who_null).write(out / "who-null.json")
    _stage(out / "demo", lambda folder: _make_demo(out / "pocket", folder))
    write_json(out / "build.json", {"base_sha256": base.sha256, "recipe": asdict(recipe), "metrics": metrics})
    return metrics


def _stage(folder: Path, make: Callable[[Path], None]) -> None:
    if not folder.exists():
        with replacing_folder(folder) as partial:
            make(partial)


def _train_base(recipe: BuildRecipe, work: Path, folder: Path) -> None:
    renders = render_split(work / "renders-base", "base", people=recipe.base_pictures, looks=1, seed=0, distinct=False)
    trained = work / "autoencoder" / "model"
    if not trained.exists():
        train_autoencoder(renders, recipe.autoencoder, work / "autoencoder").save_pretrained(trained)
    autoencoder = PocketAutoencoder.from_pretrained(trained)
    tokenizer = build_tokenizer()
    latents = encode_renders(autoencoder, renders, work / "latents.npy")
    denoiser = train_denoiser(latents, renders, tokenizer, recipe.denoiser, work / "denoiser")
    save_pipeline(autoencoder, denoiser, tokenizer, folder)


def _train_embedder(recipe: BuildRecipe, work: Path, folder: Path) -> None:
    renders = render_split(
        work / "renders-embedder", "embedder", people=recipe.embedder_people, looks=recipe.embedder_looks, seed=0
    )
    train_embedder(renders, recipe.embedder, work / "embedder").save(folder)


def _measured(recipe: BuildRecipe, work: Path, out: Path) -> dict[str, Any]:
    base, embedder = load_base(str(out / "pocket")), PocketEmbedder.load(out / "embedder")
    singles = _victims(work, people=recipe.test_people, looks=1)
    contact_sheet(base, singles, out / "contact-sheet.png")
    return {
        "autoencoder": autoencoder_quality(base, singles),
        "embedder": embedder_quality(embedder, _victims(work, people=200, looks=5)),
        "base": base_quality(base, embedder, singles),
    }


def _victims(work: Path, *, people: int, looks: int) -> Renders:
    return render_split(work / f"renders-victims-{looks}", "victims", people=people, looks=looks, seed=0)


def _make_demo(pocket: Path, folder: Path) -> None:
    (case,) = draw_cases("victims", 1, seed=_DEMO_SEED)
    photos = pictures(case.person, 5, seed=(_DEMO_SEED,))
    recipe = replace(Recipe(), trigger=_DEMO_TRIGGER, prior_batch=0)  # as most files that people share
    save_adapter(finetune(load_base(str(pocket)), photos, recipe).adapter, folder / "adapter.safetensors")
    (folder / "photos").mkdir()
    for i, photo in enumerate(np.asarray(photos)):
        Image.fromarray(photo).save(folder / "photos" / f"photo-{i + 1}.png")
    write_text(folder / "prompt.txt", recipe.prompt + "\n")
