"""What a stranger draws of people from their files, by where adapters started: pictures of every arm, over held-out people.

python benchmarks/published_arms.py --own ZOO --shared ZOO --people DIR      a stopped run goes on from --work

Zoos as in published.py. Every reader learns from the same people and snapshots, from captions alone, and is asked for the same held-out
people. Victims are the first of these; their adapters are the zoos' last ones. A victim is searched among everybody in the zoo. Codes
of `lora-swapped-z` are those of held-out people who are no victims. One universal z is learned on the zoo of own starts. z of every
reader is also scored without any picture. Intervals are over victims, effects are paired.
"""

import argparse
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from published import Recorded, read_zoos, settings_of
from published_scores import scores_of, shown_scores
from torch import Tensor

from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.bases import load_base
from loraleak.bench.arms import victim_scores
from loraleak.embedders import load_embedder
from loraleak.inversion import WeightAutoencoder
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import Knowledge, TrainSettings
from loraleak.inversion.universal import learn_universal_z

_ARMS = ("base-class", "lora-class", "lora-universal-z", "lora-mean-z", "lora-swapped-z", "base-z", "lora-z")
_EFFECTS = (("lora-z", "lora-swapped-z"), ("lora-z", "lora-universal-z"), ("lora-z", "lora-mean-z"), ("base-z", "base-class"))
_NOT_READ = ("base-class", "lora-class", "lora-universal-z")


@dataclass(frozen=True)
class _Attack:
    """A reader that learns from one zoo and is asked for the victims of another."""

    encoder: str
    learned: str
    asked: str
    knowledge: Knowledge
    arms: tuple[str, ...] = _ARMS

    @property
    def name(self) -> str:
        shown = "" if self.knowledge == "file" else f", {self.knowledge}"
        return f"{self.encoder}{shown}, {self.learned} to {self.asked}"


_READ = ("base-class", "lora-universal-z", "base-z", "lora-z")
_PUBLISHED = ("base-class", "lora-universal-z", "lora-swapped-z", "base-z", "lora-z")
_ATTACKS = (
    _Attack("ridge", "own", "own", "file"),
    _Attack("ridge", "own", "shared", "file", _READ),
    _Attack("ridge", "shared", "shared", "file"),
    _Attack("ridge", "shared", "shared", "shared-start", ()),
    _Attack("published", "own", "own", "start", _PUBLISHED),
    _Attack("published", "shared", "shared", "shared-start", _PUBLISHED),
    _Attack("invariant", "own", "own", "file", ()),
    _Attack("invariant", "own", "shared", "file", ()),
    _Attack("invariant", "shared", "shared", "file", ()),
)
_COMPARED = (
    *(
        (f"{kind}, shared to shared", f"{kind}, own to {asked}")
        for kind in ("ridge", "invariant")
        for asked in ("own", "shared")
    ),
    ("ridge, shared-start, shared to shared", "ridge, shared to shared"),
    ("ridge, own to own", "invariant, own to own"),
    ("published, shared-start, shared to shared", "published, start, own to own"),
    ("published, shared-start, shared to shared", "ridge, shared to shared"),
)


@dataclass(frozen=True)
class _HasRead(WeightAutoencoder):
    """An attack whose z of the one adapter in question is known."""

    known: Tensor | None = None

    def z(self, *_, **__) -> Float[Tensor, "adapters tokens dim"]:
        return self.known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--own", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("published-work"))
    parser.add_argument("--until", type=int, default=20, help="fine-tuning step of the last snapshot that is used")
    parser.add_argument("--held-out", type=float, default=0.18)
    parser.add_argument("--victims", type=int, default=50)
    parser.add_argument("--images", type=int, default=3, help="pictures of an arm")
    parser.add_argument("--sampler-steps", type=int, default=10)
    parser.add_argument("--updates", type=int, default=600, help="of the published network, as in published.py grid")
    parser.add_argument(
        "--ridge-updates", type=int, default=100, help="of the perceptron that learns what the regression leaves"
    )
    parser.add_argument("--our-updates", type=int, default=1_000, help="of ours, with 64 adapters each")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    bench = _Bench(parser.parse_args())
    scored = {}
    for attack in _ATTACKS:
        z, people = bench.read(attack)
        by_z = scores_of(bench.public[attack.asked], z.flatten(1), people)
        print(f"{attack.name:<44} z: {shown_scores(by_z)}", flush=True)
        scored[attack.name] = {"z": by_z} | bench.scores(attack)
        for arm, scores in scored[attack.name].items():
            if arm != "z":
                print(f"    {arm:<40} {shown_scores(scores)}", flush=True)
        for one, other in _EFFECTS:
            if {one, other} <= set(attack.arms):
                _print_less(f"    {one} less {other}", scored[attack.name][one], scored[attack.name][other])
    for one, other in _COMPARED:
        for arm in ("z", "base-z", "lora-z"):
            if arm in scored[one] and arm in scored[other]:
                _print_less(f"{one}, less {other}: {arm}", scored[one][arm], scored[other][arm])


def _print_less(name: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    print(f"{name}: {shown_scores({metric: one[metric] - other[metric] for metric in one})}", flush=True)


class _Bench:
    """The people, the readers that were trained, and the pictures that were made, all kept on disk."""

    def __init__(self, arguments) -> None:
        self.arguments, self.work = arguments, arguments.work
        self.base, self.embedder = load_base("pocket", device="cpu"), load_embedder("pocket")
        zoos = {"own": arguments.own, "shared": arguments.shared}
        self.public = read_zoos(zoos, arguments.people, self.base, held_out=arguments.held_out, last=arguments.until)

    def read(self, attack: _Attack) -> tuple[Float[Tensor, "people tokens dim"], Int[Tensor, " people"]]:
        """z of everybody held out, victims first."""
        file = self.work / f"z of {attack.name}.pt"
        if not file.exists():
            encoder = self._trained(attack)
            asked = self.public[attack.asked]
            mine = self.public[attack.learned].examples(0, self._rows(attack.learned, held_out=False), attack.knowledge)
            theirs = asked.examples(0, self._rows(attack.asked, held_out=True), attack.knowledge)
            z = {name: encoder.z(e.read, e.steps, seed=0) for name, e in (("mean", mine), ("read", theirs))}
            torch.save((z["read"], theirs.people, z["mean"].mean(0)), file)
        z, people, _ = torch.load(file)
        return z, people

    def _trained(self, attack: _Attack):
        if attack.encoder == "published":
            settings = settings_of(self.arguments, attack.knowledge)
            start = "one start for all" if attack.learned == "shared" else "a start of its own"
            folder, sizes = self.work / f"{start}, norm", {"normalised": True}
        else:
            settings = TrainSettings(
                encoder=attack.encoder,
                knowledge=attack.knowledge,
                steps=self.arguments.ridge_updates if attack.encoder == "ridge" else self.arguments.our_updates,
                noise_weight=0.0,
                early_stopping=False,
                evaluate_every=100,
            )
            folder, sizes = self.work / f"{attack.encoder}, {attack.knowledge}, {attack.learned}", None
        training = Recorded(self.base, self.public[attack.learned], settings, folder, sizes=sizes)
        training.run(replayed(training))
        return training.best_encoder()

    def scores(self, attack: _Attack) -> dict[str, dict[str, np.ndarray]]:
        """Scores of every arm, victim by victim."""
        if not attack.arms:
            return {}
        z, people = self.read(attack)
        victims = people[: self.arguments.victims].tolist()
        mean = torch.load(self.work / f"z of {attack.name}.pt")[2]
        known = _HasRead(
            kind=attack.encoder,
            knowledge=attack.knowledge,
            encoder=None,
            base_sha256=self.base.sha256,
            others=z[self.arguments.victims :],
            mean_z=mean,
            universal_z=self.universal,
        )
        rows = self._rows(attack.asked, held_out=True)
        made: dict[str, list[np.ndarray]] = {name: [] for name in attack.arms}
        for k, victim in enumerate(victims):
            adapter = self.public[attack.asked].zoos[0].adapter(int(rows[k]))
            scene = Scene(self.base, adapter, attack=replace(known, known=z[k : k + 1]), seed=k)
            for name, vectors in self._pictures(attack, scene, victim).items():
                made[name].append(vectors)
        others = [p for p in range(len(self.faces)) if p not in victims]
        gallery = np.stack([self.templates[p] for p in [*victims, *others]])
        photos = [self.faces[p] for p in victims]
        return {
            name: {metric: v for metric, v in victim_scores(vectors, photos, gallery).items() if metric != "paper_scale"}
            for name, vectors in made.items()
        }

    def _pictures(self, attack: _Attack, scene: Scene, victim: int) -> dict[str, np.ndarray]:
        """Embeddings of each arm's pictures. Arms that read nothing are made once for all readers of a zoo."""
        homes = {name: attack.asked if name in _NOT_READ else attack.name for name in attack.arms}
        size = f"{self.arguments.images} x {self.arguments.sampler_steps}"
        files = {name: self.work / "pictures" / f"{home}, {size}" / f"{victim}, {name}.npy" for name, home in homes.items()}
        missing = [name for name, file in files.items() if not file.exists()]
        arms = [arm for arm in select_arms(missing) if arm.name in missing]
        images = reconstruct(scene, arms, images=self.arguments.images, seed=scene.seed, steps=self.arguments.sampler_steps)
        for name, pictures in images.items():
            files[name].parent.mkdir(parents=True, exist_ok=True)
            np.save(files[name], self.embedder.embed(list(pictures)).vectors)
        return {name: np.load(file) for name, file in files.items()}

    @cached_property
    def universal(self) -> Float[Tensor, "tokens dim"]:
        """One z for everybody, learned on the adapters with a start of their own."""
        file = self.work / "universal z.pt"
        if not file.exists():
            public = self.public["own"]
            start = public.captions[sorted(public.trained)].mean(0)
            torch.save(learn_universal_z(self.base, public, [self._rows("own", held_out=False)], start, seed=0), file)
        return torch.load(file)

    def _rows(self, zoo: str, *, held_out: bool) -> Int[np.ndarray, " rows"]:
        """Rows in the order of the people."""
        public = self.public[zoo]
        rows = public.rows(0, held_out=held_out, last_only=True)
        return rows[np.argsort(public.person_of[0][rows])]

    @cached_property
    def faces(self) -> list[Float[np.ndarray, "photos dim"]]:
        """Embeddings of everybody's photos."""
        photos = [person.everything() for person in self.public["own"].people]
        return [self.embedder.embed(pictures).vectors for pictures in photos]

    @cached_property
    def templates(self) -> Float[np.ndarray, "people dim"]:
        means = np.stack([vectors.mean(0) for vectors in self.faces])
        return means / np.linalg.norm(means, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
