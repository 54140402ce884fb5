"""Where the time of an audit goes: seconds and FLOPs of each stage, on pocket, and counted FLOPs at Stable Diffusion 1.5's true size.

    python benchmarks/audit_profile.py --steps 20

The demo's file is audited in this process, on one thread. Seconds are those of the processor, without what a stage calls of another.
FLOPs are pictures times the FLOPs of one, without the adapter, counted on shapes alone. Their share is of the rate of a matrix
product of 1,024 by 1,024 on one thread, measured before and after. Start is Python and the libraries. An earlier version's src folder
in PYTHONPATH gives its profile.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from true_pipelines import PIPELINES

from loraleak.assets import DEMO, POCKET
from loraleak.auditing import AuditSettings, audit, run
from loraleak.bases import DiffusersBase, PocketAutoencoder
from loraleak.embedders.pocket import PocketEmbedder
from loraleak.progress import heard_by

_START = time.process_time()
_STAGES = ("start", "loading", "forecast", "text", "strength", "denoiser", "decoding", "embedding", "report", "the rest")
_SIZE = 1024


class _Stages:
    """Exclusive seconds of the processor, and pictures, by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.pictures: Counter[str] = Counter()
        self._stack = ["the rest"]
        self._since = time.process_time()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._turn()
        self._stack.append(self._stack[-1] if self._stack[-1] in ("strength", "forecast") else stage)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def within(self) -> str:
        return self._stack[-1]

    def _turn(self) -> None:
        now = time.process_time()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=AuditSettings().steps)
    parser.add_argument("--images", type=int, default=AuditSettings().images)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    time.perf_counter = time.process_time  # the forecast's clock too, so that other work on the machine does not count
    rate = _rate()
    stages, forecast = _Stages(), []
    _watch(stages)
    estimate_of = run.estimate_of

    def noted(*given: Any) -> Any:
        with stages("forecast"):
            forecast.append(estimate_of(*given))
        return forecast[-1]

    run.estimate_of = noted
    settings = AuditSettings(
        device="cpu",
        prompt=(DEMO / "prompt.txt").read_text("utf-8").strip(),
        steps=arguments.steps,
        images=arguments.images,
        others_count=19,
    )
    with tempfile.TemporaryDirectory() as folder:
        with heard_by(lambda *_: None):
            report = audit(DEMO / "adapter.safetensors", DEMO / "photos", settings, quiet=False)
        with stages("report"):
            report.write(Path(folder))
    rate = max(rate, _rate())
    stages.seconds["start"] = _START
    small, large = _flops_of_pocket(), _flops_of_sd15()
    print(f"{len(report.arms)} arms of {settings.images} pictures, {settings.steps} steps: {report.verdict.level}")
    print(f"matrix product: {rate / 1e9:.0f} GFLOP a second")
    print("| stage | seconds | share | pictures | GFLOP | of the matrix product | SD 1.5, TFLOP | share |")
    print("|---|---|---|---|---|---|---|---|")
    whole = sum(stages.seconds.values())
    total = sum(stages.pictures[stage] * large.get(stage, 0) for stage in _STAGES)
    for stage in _STAGES:
        seconds, count = stages.seconds[stage], stages.pictures[stage]
        flops, true = count * small.get(stage, 0), count * large.get(stage, 0)
        share = f"{flops / seconds / rate:.2f}" if flops else ""
        counted = (f"{count}", f"{flops / 1e9:.1f}", share, f"{true / 1e12:.1f}", f"{true / total:.3f}") if flops else ("",) * 5
        print(f"| {stage} | {seconds:.2f} | {seconds / whole:.2f} | {' | '.join(counted)} |")
    sampled = sum(
        stages.seconds[stage] for stage in ("text", "strength", "denoiser", "decoding", "embedding", "report", "the rest")
    )
    print(f"forecast: {forecast[0].seconds:.1f} s; from the forecast to the end: {sampled:.1f} s")
    print(f"| all | {whole:.2f} | | | | | {total / 1e12:.0f} | |")


def _watch(stages: _Stages) -> None:
    """Count what these functions take."""

    def counted(home: Any, name: str, stage: str, pictures: Callable[..., int] = lambda *_: 0) -> None:
        inner = getattr(home, name)

        @wraps(inner)
        def outer(*given: Any, **named: Any) -> Any:
            with stages(stage):
                if stages.within() == stage or (stage, stages.within()) == ("denoiser", "strength"):
                    stages.pictures[stages.within()] += pictures(*given)
                return inner(*given, **named)

        setattr(home, name, outer)

    counted(run, "load", "loading")
    counted(run, "check", "loading")
    counted(run, "strength_of", "strength")
    counted(DiffusersBase, "predict", "denoiser", lambda _, latents, *__: len(latents))
    counted(DiffusersBase, "decode", "decoding", lambda _, latents: len(latents))
    counted(DiffusersBase, "embed", "text", lambda _, prompts: len(prompts))
    counted(PocketEmbedder, "embed", "embedding", lambda _, images: len(images))


def _rate() -> float:
    one = torch.randn(_SIZE, _SIZE)
    best = float("inf")
    for _ in range(8):
        start = time.thread_time()
        one @ one
        best = min(best, time.thread_time() - start)
    return 2 * _SIZE**3 / best


def _flops_of_pocket() -> Mapping[str, float]:
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(diffusers.UNet2DConditionModel.load_config(POCKET / "unet"))
        vae = PocketAutoencoder.from_config(PocketAutoencoder.load_config(POCKET / "vae"))
        text = transformers.CLIPTextModel(transformers.CLIPTextConfig.from_pretrained(POCKET / "text_encoder"))
    return _flops(unet, vae, text, tokens=32)


def _flops_of_sd15() -> Mapping[str, float]:
    shapes = PIPELINES["sd15"]
    blocks = len(shapes["vae"]["block_out_channels"])
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * blocks, "up_block_types": ("UpDecoderBlock2D",) * blocks}
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(**shapes["unet"])
        vae = diffusers.AutoencoderKL(**{**shapes["vae"], **kinds})
        text = transformers.CLIPTextModel(transformers.CLIPTextConfig(**shapes["text_encoder"]))
    return _flops(unet, vae, text, tokens=77)


def _flops(unet: Any, vae: Any, text: Any, *, tokens: int) -> Mapping[str, float]:
    """FLOPs of one picture, or of one prompt. The strength's are those of its passes; its few decodings are left out."""
    side = unet.config["sample_size"]
    latents = torch.empty(1, unet.config["in_channels"], side, side, device="meta")
    states = torch.empty(1, tokens, unet.config["cross_attention_dim"], device="meta")
    ids = torch.empty(1, tokens, dtype=torch.long, device="meta")
    denoiser = _counted(lambda: unet(latents, torch.empty(1, device="meta"), states))
    decoder = _counted(lambda: vae.decode(latents))
    return {"denoiser": denoiser, "strength": denoiser, "decoding": decoder, "text": _counted(lambda: text(ids))}


def _counted(call: Callable[[], Any]) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
