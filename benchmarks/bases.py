"""Every family of bases on a tiny pipeline of random weights, on the command line: PYTHONPATH=src:tests python benchmarks/bases.py

It fine-tunes 3 steps with prior preservation, audits the file, and prints wall times of whole commands, from their start.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from loraleak.files import write_json
from oracles.pipelines import FAMILIES, RESOLUTION, tiny_pipeline

_PHOTOS = 4
_FINETUNE = ["--steps", "3", "--rank", "4", "--batch", "2", "--prior-batch", "1", "--class-count", "4"]
_AUDIT = ["--images", "2", "--steps", "4", "--prompt", "a photo of sks person", "--fail-on", "never"]


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        _photos(folder / "photos")
        for family in FAMILIES:
            base = tiny_pipeline(family, folder / family)
            common = ["--base", str(base), "--resolution", str(RESOLUTION), "--device", "cpu"]
            file, report = folder / f"{family}.safetensors", folder / f"{family}-report"
            trained = _timed("finetune", str(folder / "photos"), "--out", str(file), *_FINETUNE, *common)
            audited = _timed("audit", str(file), "--photos", str(folder / "photos"), "--out", str(report), *_AUDIT, *common)
            size = sum(part.stat().st_size for part in base.rglob("*.safetensors"))
            rows.append(
                {
                    "family": family,
                    "pipeline_mb": round(size / 2**20, 1),
                    "adapter_kb": round(file.stat().st_size / 1024),
                    "finetune_s": round(trained, 1),
                    "audit_s": round(audited, 1),
                    "report_kb": round((report / "report.html").stat().st_size / 1024),
                }
            )
    print("".join(f"{name:>13}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value!s:>13}" for value in row.values()))
    if len(sys.argv) > 1:
        write_json(Path(sys.argv[1]), rows)


def _photos(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(_PHOTOS):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def _timed(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "loraleak", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
