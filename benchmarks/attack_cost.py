"""Cost of the attack: python benchmarks/attack_cost.py

Times are medians on this machine. FLOPs are the same on every machine. The audit runs as a user's does, in a process of its
own. It is compared with the same process with the naive arms alone.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import loraleak
from loraleak.adapters import load_adapter
from loraleak.bases import load_base
from loraleak.kits import attack_for

DEMO = Path(loraleak.__file__).parent / "assets" / "demo"
_REPEATS = 20


def main() -> None:
    base = load_base("pocket", device="cpu")
    attack, adapter = attack_for(base, None), load_adapter(DEMO / "adapter.safetensors")
    assert attack is not None
    numbers = sum(value.numel() for value in attack.encoder.parameters())
    latents, times = torch.randn(1, *base.latent_shape), torch.full((1,), 500)
    condition = torch.randn(1, *base.condition_shape)
    with torch.no_grad():
        encode, denoise = (
            _flops(lambda: attack.encode([adapter])),
            _flops(lambda: base.predict(latents, times, condition)),
        )
    print(f"{torch.get_num_threads()} threads; encoder of {numbers / 1e6:.2f} M parameters")
    print(f"encode one adapter     {_median_ms(lambda: attack.encode([adapter])):8.1f} ms {encode / 1e6:10.1f} MFLOP")
    print(f"load and encode a file {_median_ms(lambda: attack.encode([load_adapter(DEMO / 'adapter.safetensors')])):8.1f} ms")
    print(f"one noise prediction   {'':>11} {denoise / 1e6:10.1f} MFLOP; a picture of 20 steps: {40 * denoise / 1e9:.1f} GFLOP")
    prompt = (DEMO / "prompt.txt").read_text("utf-8").strip()
    for name, arms in (("all arms", ()), ("lora-class and lora-trigger", ("--arms", "lora-class", "lora-trigger"))):
        seconds = _audit(prompt, arms)
        print(f"audit, {name:<28} {seconds:6.1f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"largest memory of an audit {peak / 1024:.0f} MB")


def _flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _median_ms(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _audit(prompt: str, arms: tuple[str, ...]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "loraleak",
            "audit",
            str(DEMO / "adapter.safetensors"),
            "--photos",
            str(DEMO / "photos"),
        ]
        command += ["--prompt", prompt, "--out", folder, "--fail-on", "never", *arms]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
