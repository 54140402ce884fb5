"""The bundle of docs/data.md: what others need to compare with our numbers, without training.

python benchmarks/data.py data --victims 50 --work bench
"""

import argparse
import hashlib
import json
from pathlib import Path
from shutil import copyfile, copytree

from loraleak.assets import DEMO, POCKET_KIT, POCKET_KNOWN_LEAKS

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--victims", type=int, default=50, help="victims whose adapters are made anew; 0 for none")
    parser.add_argument("--photos", type=int, default=5)
    parser.add_argument(
        "--work", type=Path, default=Path("bench"), help="of `loraleak bench`: its adapters are used, or made there"
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True)
    copyfile(DOCS / "data.md", out / "README.md")
    for rows in ("paper.parquet", "paper-control.parquet"):
        copyfile(DOCS / rows, out / rows)
    copyfile(POCKET_KIT, out / "kit.safetensors")
    copytree(POCKET_KNOWN_LEAKS, out / "known-leaks")
    copytree(DEMO, out / "demo")
    if arguments.victims:
        write_victims(out / "victims", arguments.victims, arguments.photos, arguments.work)
    files = sorted(file for file in out.rglob("*") if file.is_file())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(out).as_posix()}" for file in files]
    (out / "SHA256SUMS").write_text("\n".join(sums) + "\n", "utf-8")
    print(f"{out}: {len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


def write_victims(out: Path, count: int, photos: int, work: Path) -> None:
    """Write the first victims of the bench: adapter, the photos that it was trained on, and who they are."""
    import numpy as np
    from PIL import Image

    from loraleak.bases import load_base
    from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases
    from loraleak.bench.runs import fine_tuned

    settings = CaseSettings(photos=photos)
    cases = draw_cases("victims", count, seed=VICTIM_SEED)
    for case, file in fine_tuned(load_base("pocket"), cases, settings, work / "cases").items():
        folder = out / f"victim-{case.index:03}"
        (folder / "photos").mkdir(parents=True)
        copyfile(file, folder / "adapter.safetensors")
        for i, photo in enumerate(settings.private_images(case), 1):
            Image.fromarray(np.asarray(photo)).save(folder / "photos" / f"photo-{i}.png")
        recipe = settings.recipe_of(case)
        facts = {
            "victim": case.index,
            "prompt": recipe.prompt,
            "steps": recipe.steps,
            "rank": recipe.rank,
            **case.person.attributes(),
        }
        (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
