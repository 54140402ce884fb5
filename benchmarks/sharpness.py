"""What a reader says, made sharper: z of different people as far apart as their captions are. Against the same reader as it was.

python benchmarks/sharpness.py make ZOO --people DIR --out sharp.safetensors    stretch z of an attack that never saw these people
python benchmarks/sharpness.py compare ZOO --attacks shipped sharp.safetensors  by z, and by pictures of the arms; goes on from --work

`shipped` is the attack in pocket's kit. Victims of `compare` are people whose numbers are in the names of the zoo:
`shipped` is the attack in pocket's kit. Victims of `compare` are people whose numbers stand in the zoo:
by z among their captions. 95% intervals over victims; everything less the first attack is paired.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from published_scores import shown_scores
from torch import Tensor

from loraleak.arms import Scene, reconstruct, select_arms
from loraleak.assets import POCKET_KIT
from loraleak.bases import load_base
from loraleak.bench.arms import victim_scores
from loraleak.bench.cases import VICTIM_SEED, draw_cases, templates
from loraleak.embedders import load_embedder
from loraleak.inversion import WeightAutoencoder, load_attack
from loraleak.kits.kit_file import read_kit
from loraleak.people import draw_people, identities_in
from loraleak.people.avatars import draw_look
from loraleak.people.captions import caption
from loraleak.zoo.store import Zoo

_GALLERY, _LOOKS, _PHOTOS = 1000, 8, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("make", "compare"))
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--attacks", nargs="+", default=["shipped"])
    parser.add_argument("--arms", nargs="+", default=["base-z", "lora-z"])
    parser.add_argument("--images", type=int, default=4, help="pictures of an arm")
    parser.add_argument("--sampler-steps", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("sharp.safetensors"))
    parser.add_argument("--work", type=Path, default=Path("sharpness-work"))
    arguments = parser.parse_args()
    base = load_base("pocket", device="cpu")
    attacks = {name: attack_called(name, base) for name in arguments.attacks}
    if arguments.job == "make":
        _make(base, attacks[arguments.attacks[0]], arguments)
    else:
        _compare(base, attacks, arguments)


def attack_called(name: str, base) -> WeightAutoencoder:
    if name != "shipped":
        return load_attack(name, base)
    stored = read_kit(POCKET_KIT).attack
    assert stored is not None
    return stored.on(base)


@torch.no_grad()
def read(attack: WeightAutoencoder, zoo: Zoo, rows: np.ndarray) -> Tensor:
    unknown = torch.zeros(len(rows), dtype=torch.long)
    return attack.encoder(zoo.batch(rows), unknown).mean


def _make(base, attack: WeightAutoencoder, arguments) -> None:
    zoo = Zoo(arguments.zoo)
    captions = torch.stack([base.embed(person.captions).mean(0).float() for person in identities_in(arguments.people)])
    said = torch.cat([read(attack, zoo, part) for part in np.array_split(np.arange(len(zoo)), -(-len(zoo) // 64))])
    factor = float((captions.var(0).mean() / said.var(0).mean()).sqrt())
    centre = attack.encoder.centre.clone()
    _stretch(attack.encoder, factor)
    stretched = {name: centre + factor * (getattr(attack, name) - centre) for name in ("others", "mean_z")}
    replace(attack, **stretched).save(arguments.out)
    print(f"{arguments.out}: z times {factor:.3f}, by {len(captions)} people")


@torch.no_grad()
def _stretch(encoder, factor: float) -> None:
    """Multiply by this what z says beyond the mean of captions."""
    parts = [encoder.mean.weight, encoder.mean.bias]
    for part in parts if encoder.ridge is None else [*parts, encoder.ridge.directions]:
        part.mul_(factor)


@dataclass(frozen=True)
class _HasRead(WeightAutoencoder):
    """An attack whose z of the one adapter in question is known."""

    known: Tensor | None = None

    def z(self, *_, **__) -> Tensor:
        return self.known


def _compare(base, attacks: dict[str, WeightAutoencoder], arguments) -> None:
    zoo = Zoo(arguments.zoo)
    rows, who = victims_of(zoo)
    codes = {name: read(attack, zoo, rows) for name, attack in attacks.items()}
    captions = captions_of_gallery(base)
    _print_all(f"{len(who)} people, by z", {name: by_z(z.flatten(1), captions, who) for name, z in codes.items()})
    embedder = load_embedder("pocket")
    cases = draw_cases("victims", _GALLERY, seed=VICTIM_SEED)
    file = arguments.work / "templates.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, templates(cases, embedder, seed=0, private=_PHOTOS))
    gallery = np.load(file)[[*who, *np.setdiff1d(np.arange(_GALLERY), who)]]
    photos = [cases[k].identity.further(_PHOTOS, seed=0, number=int(k), private=_PHOTOS) for k in who]
    faces = [embedder.embed(list(pictures)).vectors for pictures in photos]
    for arm in arguments.arms:
        found = {}
        for name, attack in attacks.items():
            vectors = []
            for k, row, z in zip(who, rows, codes[name], strict=True):
                size = f"{arguments.images} x {arguments.sampler_steps}"
                file = (
                    arguments.work
                    / f"{arm}, {attack.sha256[:12]}, {size}"
                    / f"{zoo.manifest['sha256'][int(row)].as_py()[:12]}.npy"
                )
                if not file.exists():
                    known = _HasRead(**{**vars(attack), "known": z[None]})
                    scene = Scene(base, zoo.adapter(int(row)), attack=known, seed=int(k))
                    made = reconstruct(
                        scene, select_arms((arm,)), images=arguments.images, seed=int(k), steps=arguments.sampler_steps
                    )
                    file.parent.mkdir(parents=True, exist_ok=True)
                    np.save(file, embedder.embed(list(made[arm])).vectors)
                vectors.append(np.load(file))
            scores = victim_scores(vectors, faces, gallery)
            found[name] = {metric: scores[metric] for metric in ("rank1", "cosine")}
        _print_all(arm, found)


def victims_of(zoo: Zoo) -> tuple[np.ndarray, np.ndarray]:
    """Rows of everybody's last adapter, and the numbers that their names hold, in order."""
    rows = zoo.last_rows()
    who = np.array([int(name.rpartition("-")[2]) for name in np.array(zoo.manifest["person"].to_pylist())[rows]])
    return rows[who.argsort()], np.sort(who)


def captions_of_gallery(base) -> Tensor:
    """The mean prompt embedding of everybody in the gallery."""
    people = draw_people("victims", _GALLERY, seed=VICTIM_SEED)
    looks = [
        [draw_look(np.random.default_rng([VICTIM_SEED, i, j]), p.style) for j in range(_LOOKS)] for i, p in enumerate(people)
    ]
    return torch.stack(
        [
            base.embed([caption(person, look) for look in mine]).mean(0).float()
            for person, mine in zip(people, looks, strict=True)
        ]
    ).flatten(1)


def by_z(z: Tensor, captions: Tensor, who: np.ndarray) -> dict[str, np.ndarray]:
    right = torch.cdist(z, captions).argmin(1).numpy() == who
    distance = (z - captions[who]).square().mean(1) / captions.var(0).mean()
    return {"rank1": right.astype(float), "distance": distance.numpy()}


def _print_all(title: str, found: dict[str, dict[str, np.ndarray]]) -> None:
    first = next(iter(found.values()))
    for name, scores in found.items():
        less = {metric: scores[metric] - first[metric] for metric in scores}
        print(f"{title:<20} {Path(name).stem:<20} {shown_scores(scores)}", flush=True)
        if scores is not first:
            print(f"{'':<20} {'less the first':<20} {shown_scores(less)}", flush=True)


if __name__ == "__main__":
    main()
