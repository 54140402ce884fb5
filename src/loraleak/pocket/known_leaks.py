"""The files with known leaks that ship with pocket: the adapters of the first controls, each with the photos it was trained on."""

from pathlib import Path

from PIL import Image

from loraleak.adapters import load_adapter, save_adapter
from loraleak.bases import DiffusersBase
from loraleak.bench import Case, CaseSettings
from loraleak.bench.runs import fine_tuned

__all__ = ["write_known_leaks"]


def write_known_leaks(base: DiffusersBase, cases: list[Case], work: Path, out: Path) -> None:
    """Write a folder for each case. Adapters that are not in `work` are trained first."""
    settings = CaseSettings()
    for i, (case, file) in enumerate(fine_tuned(base, cases, settings, work).items()):
        home = out / f"person-{i + 1}"
        home.mkdir(parents=True)
        save_adapter(load_adapter(file), home / "adapter.safetensors")
        for k, photo in enumerate(settings.private_images(case)):
            Image.fromarray(photo).save(home / f"photo-{k + 1}.png")
