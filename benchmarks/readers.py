"""Better readers of `B A`: what is shown of an update, and how z is learned from it. No picture is made.

python benchmarks/readers.py ridge ZOO --people DIR      views of `dW`, by kernel ridge regression to captions, in five folds
python benchmarks/readers.py encoders ZOO --people DIR   our encoder and changes of it: same people and updates, from captions alone

Every view or change stands beside the first one, paired over people. `rank1` is among the people of the fold, or the held-out ones;
`distance` 1 is had by whoever knows nothing. 95% intervals over people.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from published import Recorded, until
from published_scores import scores_of, shown_scores
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from loraleak.bases import load_base
from loraleak.inversion.public import PublicPeople, read_public_people
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import TrainSettings
from loraleak.people import identities_in
from loraleak.zoo.store import Zoo

_PENALTIES = (1e-3, 1e-2, 1e-1)
_FOLDS = 5
_TEXT = ("attn2.to_k", "attn2.to_v")
"""Modules whose inputs are the prompt's tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("ridge", "encoders"))
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--until", type=int, default=10**6, help="fine-tuning step of the last snapshot that is used")
    parser.add_argument("--held-out", type=float, default=0.3)
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[100, 200, 320], help="people to learn from, of the job `ridge`"
    )
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--changes", nargs="+", default=list(_CHANGES))
    parser.add_argument("--work", type=Path, default=Path("readers-work"))
    arguments = parser.parse_args()
    base = load_base("pocket", device="cpu")
    public = read_public_people([Zoo(arguments.zoo)], identities_in(arguments.people), base, held_out=arguments.held_out)
    public = until(public, arguments.until)
    {"ridge": _ridge, "encoders": _encoders}[arguments.job](base, public, arguments)


# Views


def _ridge(_, public: PublicPeople, arguments) -> None:
    """Views are sums of kernels, each of mean variance 1: of `dW` whole, or of `products` in `probes` of either side."""
    views: dict[str, list[_View]] = {
        "B A, 16 probes": [_View()],
        "B A, whole": [_View(probes=None)],
        **{f"B A, {n} probes": [_View(probes=n)] for n in (8, 32, 64)},
        "B A, right probes of captions": [_View(text=True)],
        "B A, right probes scaled": [_View(power=0.5)],
        "B A, 32 right probes scaled": [_View(probes=32, power=0.5)],
        "(B A)(B A)^T": [_View("left")],
        "(B A)^T (B A)": [_View("right")],
        "B A beside (B A)(B A)^T": [_View(), _View("left")],
        "B A beside both": [_View(), _View("left"), _View("right")],
        "B A scaled beside (B A)(B A)^T": [_View(power=0.5), _View("left")],
    }
    people = _LastOnes(public)
    first: dict[str, np.ndarray] = {}
    for name, parts in views.items():
        for count in arguments.counts if name in (next(iter(views)), [*views][-1]) else arguments.counts[-1:]:
            scores = people.regressed(parts, count)
            print(f"{count:>4} people  {name:<34} {shown_scores(scores)}", flush=True)
            if count == arguments.counts[-1]:
                first = first or scores
                less = {metric: scores[metric] - first[metric] for metric in scores}
                print(f"{'':<13}less the first{'':<21}{shown_scores(less)}", flush=True)


class _View:
    """What is shown of an update: `U^T dW V`, `U^T dW dW^T U` (left) or `V^T dW^T dW V` (right)."""

    def __init__(self, product: str = "first", probes: int | None = 16, power: float = 0.0, *, text: bool = False) -> None:
        self.product, self.probes, self.power, self.text = product, probes, power, text

    def __call__(self, down: Tensor, up: Tensor, learned: np.ndarray, tokens: Tensor | None) -> Tensor:
        left, right = _directions(down[learned], up[learned]), _directions(up[learned].mT, down[learned].mT)
        u, v = left[1][:, : self.probes], right[1][:, : self.probes]
        if self.text and tokens is not None:
            v = _eigen(torch.einsum("ntd,nte->de", tokens, tokens))[1][:, : self.probes]
        elif self.power:
            v = v * right[0][: v.shape[1]].clamp(min=1e-9) ** self.power
        seen, read = u.T @ up, down @ v
        return {
            "first": lambda: seen @ read,
            "left": lambda: seen @ (down @ down.mT) @ seen.mT,
            "right": lambda: read.mT @ (up.mT @ up) @ read,
        }[self.product]()


def _directions(down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and directions of the second moments of `up @ down` on the side of `up`, largest first."""
    return _eigen(torch.einsum("nor,npr->op", up @ (down @ down.mT), up) / len(up))


def _eigen(moments: Tensor) -> tuple[Tensor, Tensor]:
    values, directions = torch.linalg.eigh(moments)
    return values.flip(0), directions.flip(1)


class _LastOnes:
    """Everybody's last adapter, each update of norm 1, and the captions."""

    def __init__(self, public: PublicPeople) -> None:
        rows = public.last[0]
        weights = public.zoos[0].batch(rows)
        self.public, self.people = public, torch.from_numpy(public.person_of[0][rows])
        self.captions = public.captions[self.people]
        self.factors: dict[str, tuple[Tensor, Tensor]] = {}
        for name, up in weights.up.items():
            down = weights.down[name].flatten(2)
            size = ((up.mT @ up) * (down @ down.mT)).sum((1, 2)).sqrt()
            self.factors[name] = down, up / size.view(-1, 1, 1)

    def regressed(self, views: Sequence[_View], count: int) -> dict[str, np.ndarray]:
        """Scores of everybody, each read by a regression from `count` people of the other folds, at the best of the penalties."""
        order = np.random.default_rng(0).permutation(len(self.people))
        by_penalty: dict[float, dict[str, np.ndarray]] = {p: {} for p in _PENALTIES}
        for asked in np.array_split(order, _FOLDS):
            learned = np.setdiff1d(order, asked)
            learned = np.random.default_rng(1).permutation(learned)[:count]
            kernel = sum(self._kernel(view, learned) for view in views)
            captions = self.captions[learned].flatten(1)
            for penalty in _PENALTIES:
                ridge = kernel[learned][:, learned] + penalty * len(views) * torch.eye(len(learned))
                z = captions.mean(0) + kernel[asked][:, learned] @ torch.linalg.solve(ridge, captions - captions.mean(0))
                for metric, values in scores_of(self.public, z, self.people[asked]).items():
                    by_penalty[penalty].setdefault(metric, np.zeros(len(order)))[asked] = values
        return min(by_penalty.values(), key=lambda scores: scores["distance"].mean())

    def _kernel(self, view: _View, learned: np.ndarray) -> Tensor:
        tokens = self.captions[learned] - self.captions[learned].mean(0)
        shown = (view(down, up, learned, tokens if name.endswith(_TEXT) else None) for name, (down, up) in self.factors.items())
        total = sum((flat := normalize(features.flatten(1))) @ flat.T for features in shown) / len(self.factors)
        known = total[learned][:, learned]
        return total / (known.diagonal().mean() - known.mean())


# Encoders


class _Contrastive(Recorded):
    """Besides, each z has to be nearer to its own captions than to those of the other people in the batch."""

    def _loss(self, examples, rng, generator, *, decoding):
        loss, figures = super()._loss(examples, rng, generator, decoding=decoding)
        if self.encoder.training:
            z = self.encoder(examples.read, torch.zeros_like(examples.steps)).mean.flatten(1)
            people, place = examples.people.unique(return_inverse=True)
            captions = self.public.captions[people].flatten(1)
            apart = torch.cdist(z, captions).square() / self.spread.square().sum()
            figures["contrast"] = float((contrast := cross_entropy(-10 * apart, place)).detach())
            loss = loss + 0.1 * contrast
        return loss, figures


_CHANGES: Mapping[str, Mapping] = {
    "invariant": {},
    "second order": {"second_order": True},
    "right probes scaled": {"right_power": 0.5},
    "second order, right probes scaled": {"second_order": True, "right_power": 0.5},
    "ridge": {"ridge": True, "second_order": True, "right_power": 0.5},
    "ridge, B A alone": {"ridge": True},
    "32 probes": {"probes": 32},
    "contrastive loss": {},
}


def _encoders(base, public: PublicPeople, arguments) -> None:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in arguments.changes:
        found[name] = scores = _trained(base, public, name, arguments)
        print(f"{len(public.trained)} people  {name:<36} {shown_scores(scores)}", flush=True)
        first = found[arguments.changes[0]]
        print(f"{'':<12}less the first{'':<23}{shown_scores({k: v - first[k] for k, v in scores.items()})}", flush=True)


def _trained(base, public: PublicPeople, change: str, arguments) -> dict[str, np.ndarray]:
    folder = arguments.work / change
    file = folder / "result.json"
    if not file.exists():
        settings = TrainSettings(steps=arguments.updates, noise_weight=0.0, early_stopping=False, evaluate_every=100)
        of_kind = _Contrastive if change == "contrastive loss" else Recorded
        training = of_kind(base, public, settings, folder, sizes=dict(_CHANGES[change]))
        training.run(replayed(training))
        examples = public.examples(0, public.rows(0, held_out=True, last_only=True))
        with torch.no_grad():
            z = training.best_encoder()(examples.read, torch.zeros_like(examples.steps)).mean.flatten(1)
        file.write_text(json.dumps({k: v.tolist() for k, v in scores_of(public, z, examples.people).items()}) + "\n")
    return {name: np.array(values) for name, values in json.loads(file.read_text()).items()}


if __name__ == "__main__":
    main()
