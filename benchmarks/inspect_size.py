"""Time and memory of `loraleak inspect` on synthetic kohya files of 1 MB, 100 MB and 1 GB, each in a process of its own.

python benchmarks/inspect_size.py
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

WIDTH = 1280
SIZES = {"1 MB": (4, 50), "100 MB": (64, 312), "1 GB": (256, 782)}
"""Rank and number of modules of float16 factors, by size."""


def main() -> None:
    for name, (rank, modules) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "lora.safetensors"
            save_file(_tensors(rank, modules), file)
            size = file.stat().st_size
            started = time.perf_counter()
            run = subprocess.run([sys.executable, __file__, str(file)], capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - started
        print(
            f"{name:<8}{size / 1e6:>10.1f} MB{modules:>6} modules of rank {rank:<5}{seconds:>7.1f} s{run.stdout.strip():>8} MB peak"
        )


def _tensors(rank: int, modules: int) -> dict[str, torch.Tensor]:
    block = "lora_unet_middle_block_1_transformer_blocks"
    names = [f"{block}_{i % 10}_odd_{i}" for i in range(modules)]
    tensors = {f"{name}.lora_down.weight": torch.randn(rank, WIDTH).half() for name in names}
    return tensors | {f"{name}.lora_up.weight": torch.randn(WIDTH, rank).half() for name in names}


def inspect(file: str) -> None:
    from loraleak import inspect_adapter

    inspect_adapter(file)
    status = Path("/proc/self/status").read_text()  # unlike getrusage's, this peak is not inherited from the parent process
    print(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1000)


if __name__ == "__main__":
    inspect(sys.argv[1]) if len(sys.argv) > 1 else main()
