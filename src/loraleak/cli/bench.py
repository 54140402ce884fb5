"""`loraleak bench`: attacks over held-out people."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

__all__ = ["Bench"]


@dataclass(frozen=True)
class Bench:
    """Fine-tunes on many synthetic victims, samples every arm, and tells how often the right person is found."""

    job: Positional[Literal["arms"]]
    """`arms`: every arm, with identification, verification, similarity, and the verdict's hits and false alarms."""
    victims: int = 100
    gallery: int = 1000
    """People among whom each victim is looked for."""
    base: str = "pocket"
    """`pocket`, a diffusers pipeline folder, or a hub id."""
    embedder: str = "pocket"
    attack: str | None = None
    """A weight autoencoder from `loraleak train`; none means the one that ships for pocket."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    seed: int = 0
    work: Path = Path("bench")
    """Folder where finished victims are kept, so that a stopped bench goes on; results go to <work>/arms.json."""
    json: bool = False
    """Print the results as JSON on stdout."""

    def run(self) -> int:
        from loraleak.bench.arms import ArmsBench, bench_arms
        from loraleak.bench.cases import CaseSettings
        from loraleak.files import write_json

        settings = ArmsBench(
            victims=self.victims,
            gallery=self.gallery,
            base=self.base,
            embedder=self.embedder,
            attack=self.attack,
            device=self.device,
            cases=CaseSettings(seed=self.seed),
        )
        results = bench_arms(settings, self.work / "cases")
        write_json(self.work / "arms.json", results)
        print(json.dumps(results)) if self.json else _print_table(results)
        return 0


_COLUMNS = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "tar_at_1_far": "TAR@1%FAR",
    "cosine": "cosine",
    "paper_scale": "paper's scale",
}


def _print_table(results: dict[str, Any]) -> None:
    print(f"{results['victims']} victims among {results['gallery']} people; 95% intervals over victims")
    print(f"{'arm':<34}" + "".join(f"{title:>22}" for title in _COLUMNS.values()))
    for name, arm in results["arms"].items():
        print(f"{name:<34}" + "".join(f"{_shown(arm[column]):>22}" for column in _COLUMNS))
    for name, effect in results["effects"].items():
        print(f"{name + ' effect':<34}" + "".join(f"{_shown(effect[column]):>22}" for column in _COLUMNS))
    for name in ("own_photos", "other_persons_photos"):
        if name in results["verdict"]:
            row = results["verdict"][name]
            print(f"verdict, {name.replace('_', ' ')}: flagged {_shown(row['flagged'])}, high {_shown(row['high'])}")


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['mean']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
