"""`loraleak train`: the weight autoencoder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.checks import out_of_bounds, refuse
from loraleak.cli.extras import needs_extra
from loraleak.cli.flags import Out
from loraleak.inversion import Algorithm2, TrainingMode, TrainSettings

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """Trains an attack that reads adapters, from zoos of public people or while fine-tuning them."""

    after_interrupt: ClassVar[str] = "the same command goes on from the last checkpoint in --work"

    zoos: Positional[tuple[str, ...]]
    """One zoo or more, of one base, by folder or URL."""
    people: Path
    """Folder of identity folders from which the zoos were built, with captions in .txt files beside the images."""
    out: Out = Path("attack.safetensors")
    """The attack to write."""
    work: Path = Path("attack-training")
    """Folder for checkpoints and TensorBoard logs; a stopped training goes on from there."""
    mode: TrainingMode = "replay"
    """Source of examples: `replay` draws snapshots from the zoos; `online` fine-tunes their people anew, and with the encoder
    `published` it is the published Algorithm 2."""
    warm_start: Path | None = None
    """Finished attack to go on from, for example to make it read defended adapters. Without it, training starts anew."""
    together: int = 1
    """People who are fine-tuned side by side, in mode `online` with another encoder."""
    embedder: str | None = None
    """Embedder that looks for the same person in two folders before anything is trained, such as `faces`. Such folders are held out
    together or not at all. Without it, nothing looks for such folders."""
    overwrite: bool = False
    """Replace the attack that is there under this name."""
    json: bool = False
    """Print the facts of the attack as JSON on stdout."""
    settings: TrainSettings = field(default_factory=TrainSettings)
    algorithm2: Algorithm2 = field(default_factory=Algorithm2)
    base: BaseSettings = field(default_factory=BaseSettings)

    def __post_init__(self) -> None:
        refuse(*out_of_bounds(self, {"together": (1, 4096)}))

    def run(self) -> int:
        from loraleak.outputs import check_new, check_work, save

        check_new(self.out, overwrite=self.overwrite)
        check_work(self.work)
        with needs_extra("train", "accelerate", "pyarrow", "tensorboard", why="training is not installed"):
            from loraleak.inversion import read_public_people, train_attack
            from loraleak.inversion.learning import is_main_process
            from loraleak.zoo import Zoo
        from loraleak.bases import load_base
        from loraleak.kits import attack_for
        from loraleak.people import identities_in

        base, zoos, people = load_base(**self.base.choices), [Zoo(zoo) for zoo in self.zoos], identities_in(self.people)
        doubles: list[tuple[str, ...]] = []
        if self.embedder is not None:
            from loraleak.bench import know, tell_doubles
            from loraleak.embedders import load_embedder

            embedder = load_embedder(self.embedder)
            seen = know(people, embedder, self.work / "people")
            doubles = tell_doubles(seen, embedder, "they are held out together or not at all")
        public = read_public_people(zoos, people, base, held_out=self.settings.held_out, doubles=doubles)
        known = None if self.warm_start is None else attack_for(base, self.warm_start)
        attack = train_attack(
            base,
            public,
            self.settings,
            self.work,
            mode=self.mode,
            warm_start=known,
            together=self.together,
            algorithm2=self.algorithm2,
        )
        if not is_main_process():
            return 0
        save(self.out, attack.save)
        facts = {
            "attack": str(self.out),
            "encoder": attack.kind,
            "people": len(public.names) - len(public.held_out),
            "held_out": len(public.held_out),
            "snapshots": sum(len(zoo) for zoo in public.zoos),
            "bytes": self.out.stat().st_size,
        }
        print(json.dumps(facts) if self.json else f"{self.out}: {attack.kind}, trained on {facts['people']} people")
        return 0
