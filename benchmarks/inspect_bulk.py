"""How many small files a second `inspect` tells, beside reading their headers alone, and beside adaptersentry where it is installed.

    python benchmarks/inspect_bulk.py [--files 400] [--workers 2]

Makes files of SDXL, Flux.1 and Z-Image in a temporary folder (rank 4, eight layers). Prints one row a way: seconds, files a second,
seconds of the processor, how often the header loop's time. Then it prints the largest memory of a process of ours. Every way reads
the same files, once they are in the system's cache.
"""

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LAYERS = {
    "lora_unet_input_blocks_4_1_transformer_blocks_{}_attn2_to_k": (640, 2048),
    "diffusion_model.double_blocks.{}.img_attn.proj": (3072, 3072),
    "transformer.layers.{}.attention.to_q": (3840, 3840),
}
HEADER = {"ss_output_name": "annabelle", "ss_tag_frequency": json.dumps({"10_zqx": {"zqx": 1}}), "ss_seed": "42"}
ADAPTERSENTRY = "import sys; from pathlib import Path; from adaptersentry import scan; [scan(Path(p)) for p in sys.argv[1:]]"


def make(folder: Path, files: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(files):
        stem, (rows, columns) = list(LAYERS.items())[i % len(LAYERS)]
        tensors = {}
        for block in range(8):
            name = stem.format(block)
            tensors[f"{name}.lora_down.weight"] = rng.standard_normal((4, columns)).astype("f2")
            tensors[f"{name}.lora_up.weight"] = rng.standard_normal((rows, 4)).astype("f2")
            tensors[f"{name}.alpha"] = np.array(4, "f4")
        save_file(tensors, folder / f"{i:05}.safetensors", HEADER)


def headers(folder: Path) -> None:
    """The limit: open each file and parse its header."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def timed(command: list[str]) -> tuple[float, float] | None:
    """Seconds, and seconds of the processors; None where the program is not there."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    ran = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if "ModuleNotFoundError" in ran.stderr else (seconds, used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make(folder, asked.files)
        headers(folder)
        start = time.perf_counter()
        headers(folder)
        least = time.perf_counter() - start
        inspect = [sys.executable, "-m", "loraleak", "inspect", "--json"]
        one = str(next(folder.glob("*.safetensors")))
        rows = {
            "headers alone": (least, least),
            "inspect, one file from a cold start": timed([*inspect, one]),
            "inspect, one process": timed([*inspect, "--workers", "1", made]),
            f"inspect, {asked.workers} workers": timed([*inspect, "--workers", str(asked.workers), made]),
            "inspect, into a cache": timed([*inspect, "--workers", str(asked.workers), "--cache", f"{made}/cache", made]),
            "inspect, from a cache": timed([*inspect, "--workers", str(asked.workers), "--cache", f"{made}/cache", made]),
        }
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows["adaptersentry"] = timed([sys.executable, "-c", ADAPTERSENTRY, *map(str, folder.glob("*.safetensors"))])
    for name, row in rows.items():
        count = 1 if "one file" in name else asked.files
        if row is None:
            print(f"{name:38} not installed")
            continue
        seconds, used = row
        alone = "worker" not in name and "cache" not in name
        processor = f"{used:7.2f} s ({count / used:6.1f} files/s)" if alone else "not counted in workers"
        print(
            f"{name:38} {seconds:8.2f} s  {count / seconds:8.1f} files/s  processor {processor:26} {seconds / least:8.1f} x headers"
        )
    print(f"largest memory of a process of ours, which does alone what each worker does: {memory:.0f} MiB")


if __name__ == "__main__":
    main()
