"""A finished reader beside a regression from other people's adapters. By z alone, no picture is made.

python benchmarks/two_readers.py ASKED --learned OWN SHARED --people DIR

ASKED is a zoo of victims as in sharpness.py, searched among 1,000 people. The regression learns from everybody's last adapter in the
zoos learned from. The shipped attack has seen none of these people. Factors by which z is stretched make them as far apart as their
captions, each read by a regression from three quarters of the others. 95% intervals over victims, paired with the shipped reader.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from published_scores import shown_scores
from sharpness import attack_called, by_z, captions_of_gallery, read, victims_of
from torch import Tensor

from loraleak.bases import load_base
from loraleak.inversion import WeightAutoencoder
from loraleak.inversion.invariant import InvariantEncoder, InvariantShape, ProbeStatistics
from loraleak.inversion.ridge import RidgeMap
from loraleak.people import identities_in
from loraleak.zoo.store import Zoo

Part = tuple[Zoo, np.ndarray]
"""A zoo, and rows of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("asked", type=Path)
    parser.add_argument("--learned", type=Path, nargs="+", required=True)
    parser.add_argument("--people", type=Path, required=True)
    arguments = parser.parse_args()
    base = load_base("pocket", device="cpu")
    attack = attack_called("shipped", base)
    captions = {p.name: base.embed(p.captions).mean(0).float() for p in identities_in(arguments.people)}
    learned = [(zoo, zoo.last_rows()) for zoo in map(Zoo, arguments.learned)]
    zoo = Zoo(arguments.asked)
    rows, who = victims_of(zoo)
    factors, centre = _factors(attack, learned, captions), torch.stack(list(captions.values())).mean(0)
    gallery = captions_of_gallery(base)
    first: dict[str, np.ndarray] = {}
    for name, z in _readers(attack, learned, captions, [(zoo, rows)]).items():
        for factor in (1.0, factors[name]):
            scores = by_z((centre + factor * (z - centre)).flatten(1), gallery, who)
            first = first or scores
            less = {metric: scores[metric] - first[metric] for metric in scores}
            print(f"{name:<10} times {factor:.2f}  {shown_scores(scores)}", flush=True)
            print(f"{'less shipped':<22}{shown_scores(less)}", flush=True)


def _readers(
    attack: WeightAutoencoder, learned: list[Part], captions: dict[str, Tensor], asked: list[Part]
) -> dict[str, Tensor]:
    """z of those asked for: the attack's, the regression's, that of a regression to what the attack leaves, and a mean."""
    statistics = ProbeStatistics(learned[0][0].shapes)
    for zoo, rows in learned:
        for part in _cut(rows):
            statistics.add(zoo.batch(part))
    condition = tuple(attack.mean_z.shape)
    encoder = InvariantEncoder(learned[0][0].shapes, condition, InvariantShape(second_order=True, right_power=0.5), steps=False)
    encoder.set_probes(statistics)
    known, asks = (torch.cat([_features(encoder, zoo, rows) for zoo, rows in parts]) for parts in (learned, asked))
    said, shipped = (torch.cat([read(attack, zoo, rows) for zoo, rows in parts]) for parts in (learned, asked))
    names = np.concatenate([np.array(zoo.manifest["person"].to_pylist())[rows] for zoo, rows in learned])
    wanted = torch.stack([captions[name] for name in names])
    people = torch.from_numpy(np.unique(names, return_inverse=True)[1])
    regressed = _regressed(known, asks, wanted, people)
    left = _regressed(known, asks, wanted - said, people)
    return {"shipped": shipped, "ridge": regressed, "rest": shipped + left, "mean": (shipped + regressed) / 2}


def _regressed(known: Tensor, asks: Tensor, wanted: Tensor, people: Tensor) -> Tensor:
    block = InvariantShape().probes ** 2
    ridge = RidgeMap(known.shape[1], known.shape[2] // block, block, InvariantShape().code, tuple(wanted.shape[1:]))
    ridge.solve(known, torch.ones(known.shape[:2]), wanted - wanted.mean(0), people)
    return wanted.mean(0) + ridge(asks, torch.ones(asks.shape[:2]))


@torch.no_grad()
def _features(encoder: InvariantEncoder, zoo: Zoo, rows: np.ndarray) -> Tensor:
    return torch.cat([encoder.features(zoo.batch(part))[0] for part in _cut(rows)])


def _cut(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, -(-len(rows) // 64))


def _factors(attack: WeightAutoencoder, learned: list[Part], captions: dict[str, Tensor]) -> dict[str, float]:
    """Ratios of the spread of captions to that of what each reader says of people in the last of the zoos."""
    names, said = sorted(captions), {}
    for fold in np.array_split(np.random.default_rng(0).permutation(names), 4):
        of_fold = [np.isin(np.array(zoo.manifest["person"].to_pylist())[rows], fold) for zoo, rows in learned]
        others = [(zoo, rows[~mine]) for (zoo, rows), mine in zip(learned, of_fold, strict=True)]
        zoo, rows = learned[-1]
        for name, z in _readers(attack, others, captions, [(zoo, rows[of_fold[-1]])]).items():
            said.setdefault(name, []).append(z)
    spread = torch.stack(list(captions.values())).var(0).mean()
    return {name: float((spread / torch.cat(parts).var(0).mean()).sqrt()) for name, parts in said.items()}


if __name__ == "__main__":
    main()
