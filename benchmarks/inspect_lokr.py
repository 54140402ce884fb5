"""What `inspect` takes for whole LoKr files of large transformers, whose updates have thousands of singular values each.

    python benchmarks/inspect_lokr.py

Makes the files in a temporary folder (both halves whole, factor 16, as ai-toolkit writes them) and prints modules, modules with a
spectrum, seconds, seconds of the processor, and the largest memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FACTOR = 16


def flux() -> dict[str, tuple[int, int]]:
    h = 3072
    double = {"attn.qkv": (3 * h, h), "attn.proj": (h, h), "mlp.0": (4 * h, h), "mlp.2": (h, 4 * h), "mod.lin": (6 * h, h)}
    single = {"linear1": (7 * h, h), "linear2": (h, 5 * h), "modulation.lin": (3 * h, h)}
    found = {
        f"double_blocks.{i}.{s}_{name}": shape for i in range(19) for s in ("img", "txt") for name, shape in double.items()
    }
    return found | {f"single_blocks.{i}.{name}": shape for i in range(38) for name, shape in single.items()}


def z_image() -> dict[str, tuple[int, int]]:
    h, feed = 3840, 10240
    block = {f"attention.{s}": (h, h) for s in ("to_q", "to_k", "to_v", "to_out.0")}
    block |= {"feed_forward.w1": (feed, h), "feed_forward.w2": (h, feed), "feed_forward.w3": (feed, h)}
    places = [f"layers.{i}" for i in range(30)] + [f"{kind}_refiner.{i}" for kind in ("noise", "context") for i in range(2)]
    return {f"{place}.{name}": shape for place in places for name, shape in block.items()}


def make(file: Path, layers: dict[str, tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    tensors = {}
    for name, (rows, columns) in layers.items():
        stem = f"diffusion_model.{name}"
        tensors[f"{stem}.lokr_w1"] = rng.standard_normal((FACTOR, FACTOR)).astype("f2")
        tensors[f"{stem}.lokr_w2"] = rng.standard_normal((rows // FACTOR, columns // FACTOR)).astype("f2")
        tensors[f"{stem}.alpha"] = np.array(9999220736.0, "f4")
    save_file(tensors, file)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        for name, layers in (("Flux.1", flux()), ("Z-Image", z_image())):
            file, out = Path(made) / f"{name}.safetensors", Path(made) / "out.json"
            make(file, layers)
            start = time.perf_counter()
            with out.open("w") as stream:
                process = subprocess.Popen([sys.executable, "-m", "loraleak", "inspect", "--json", str(file)], stdout=stream)
                _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            modules = json.loads(out.read_text())["modules"] if status == 0 else []
            whole = sum(module["spectrum"] is not None for module in modules)
            print(
                f"{name:8} {file.stat().st_size / 1e6:6.1f} MB  {len(modules)} modules, {whole} with spectrum  {seconds:6.1f} s  "
                f"processor {used.ru_utime + used.ru_stime:6.1f} s  {used.ru_maxrss / 1024:5.0f} MiB"
            )


if __name__ == "__main__":
    main()
