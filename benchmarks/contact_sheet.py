"""A contact sheet: victims' private photos beside the pictures that arms make of their files.

python benchmarks/contact_sheet.py --out docs/attack-sheet.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from loraleak.adapters import load_adapter
from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.bases import load_base
from loraleak.bench.cases import CaseSettings, draw_cases
from loraleak.bench.runs import fine_tuned
from loraleak.kits import attack_for

ARMS = ("lora-class", "lora-universal-z", "base-z", "lora-z", "lora-z-key", "lora-trigger")
TILE, GAP, BLOCK, HEAD = 96, 4, 22, 34


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victims", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3, help="of the victims' draw")
    parser.add_argument("--attack", default=None)
    parser.add_argument(
        "--work", type=Path, default=Path("bench"), help="of `loraleak bench`: its adapters are used, or made there"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/attack-sheet.png"))
    arguments = parser.parse_args()
    base, settings = load_base("pocket"), CaseSettings(images=2)
    attack = attack_for(base, arguments.attack)
    cases = draw_cases("victims", arguments.victims, seed=arguments.seed)
    rows = []
    for case, file in fine_tuned(base, cases, settings, arguments.work / "cases").items():
        scene = Scene(base, load_adapter(file), owner_prompt=settings.recipe_of(case).prompt, attack=attack, seed=case.index)
        made = reconstruct(scene, select_arms(ARMS), images=settings.images, seed=case.index)
        rows.append({"private photos": settings.private_images(case)[:3], **{name: made[name] for name in ARMS}})
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    _sheet(rows).quantize(256, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


def _sheet(rows: list[dict[str, np.ndarray]]) -> Image.Image:
    """A sheet with one row for each victim. Blocks of pictures have headings."""
    widths = {name: len(images) * (TILE + GAP) for name, images in rows[0].items()}
    canvas = Image.new("RGB", (sum(widths.values()) + BLOCK * len(widths), HEAD + len(rows) * (TILE + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(16)
    left = BLOCK // 2
    for name, width in widths.items():
        draw.text((left, HEAD // 2), name, fill=(40, 40, 40), font=font, anchor="lm")
        for row, pictures in enumerate(rows):
            for i, picture in enumerate(pictures[name]):
                tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS)
                canvas.paste(tile, (left + i * (TILE + GAP), HEAD + row * (TILE + GAP)))
        left += width + BLOCK
    return canvas


if __name__ == "__main__":
    main()
