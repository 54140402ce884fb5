"""How much the regression of `ridge` reads, from how many people, and changes of it. No picture is made, and no network trained.

python benchmarks/ridge_changes.py curve ZOO... --people DIR      from 50 to 300 people, in four folds of everybody
python benchmarks/ridge_changes.py changes ZOO --people DIR       changes of the reader, paired over everybody

Everybody is asked for once, by a regression from people of the other folds. `rank1` is among the people of the fold, `distance` 1 is
had by whoever knows nothing. `sharp` is rank-1 after z is stretched, so that different people differ as much in z as in captions:
it compares readers that shrink z by different amounts. 95% intervals over people.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from published_scores import shown_scores
from torch import Tensor
from torch.nn.functional import normalize

from loraleak.bases import load_base
from loraleak.people import identities_in
from loraleak.zoo.store import Zoo

_FOLDS = 4
_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

Rows = np.ndarray
"""Numbers of people."""
Reader = Callable[[Rows, Rows], Tensor]
"""z, flat, of the people asked for, from those who are learned from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("curve", "changes"))
    parser.add_argument("zoos", type=Path, nargs="+")
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--changes", nargs="+", help="names of the changes to try, the first one beside; otherwise all")
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 100, 200, 300])
    arguments = parser.parse_args()
    people = {person.name: person for person in identities_in(arguments.people)}
    base = load_base("pocket", device="cpu")
    captions = {name: base.embed(person.captions).mean(0).float() for name, person in people.items()}
    for folder in arguments.zoos:
        zoo = _Adapters(Zoo(folder), captions)
        if arguments.job == "curve":
            for count in arguments.counts:
                print(f"{folder.name:<12} {count:>4} people  {shown_scores(zoo.scores(zoo.ridge(count=count)))}", flush=True)
        else:
            first: Mapping[str, np.ndarray] = {}
            changes = _changes(zoo)
            for name in arguments.changes or changes:
                scores = zoo.scores(changes[name])
                first = first or scores
                print(f"{name:<44} {shown_scores(scores)}", flush=True)
                print(
                    f"{'':<12}less the first{'':<18} {shown_scores({k: v - first[k] for k, v in scores.items()})}", flush=True
                )


def _changes(zoo: "_Adapters") -> dict[str, Reader]:
    return {
        "ridge": zoo.ridge(),
        "B A alone": zoo.ridge(_View(second=False)),
        "8 directions": zoo.ridge(_View(probes=8)),
        "24 directions": zoo.ridge(_View(probes=24)),
        "32 directions": zoo.ridge(_View(probes=32)),
        "left directions scaled too": zoo.ridge(_View(left_power=0.5)),
        "directions of the captions beside": zoo.ridge(_View(text=True)),
        "aligned tokens, instead": zoo.ridge(_View(first=False, second=False, tokens=True)),
        "aligned tokens, beside": zoo.ridge(_View(tokens=True)),
        "layers weighted by what each reads": zoo.weighted(),
        "attention over layers": zoo.attended(),
        "Gaussian kernel": zoo.gaussian(),
        "learned from all snapshots": zoo.ridge(snapshots="all"),
        "mean of a reader for each snapshot": zoo.ridge(snapshots="each"),
    }


@dataclass(frozen=True)
class _View:
    """What is shown of an update: `U^T dW V`, `U^T dW dW^T U`, and the factors' own directions, turned alike in all adapters."""

    probes: int = 16
    left_power: float = 0.0
    first: bool = True
    second: bool = True
    text: bool = False
    tokens: bool = False


class _Adapters:
    """A zoo whose recipes have one rank and one course: snapshots of everybody, and their captions."""

    def __init__(self, zoo: Zoo, captions: Mapping[str, Tensor]) -> None:
        who, steps = np.array(zoo.manifest["person"].to_pylist()), zoo.manifest["step"].to_numpy()
        self.names = sorted(set(who))
        self.tokens = torch.stack([captions[name] for name in self.names])
        flat = self.tokens.flatten(1)
        self.captions = flat @ torch.linalg.svd(flat - flat.mean(0), full_matrices=False)[2].T  # distances stay as they are
        self.spread = self.captions.var(0).mean()
        self.snapshots: list[dict[str, tuple[Tensor, Tensor]]] = []
        for step in sorted(set(steps)):
            rows = np.flatnonzero(steps == step)
            weights = zoo.batch(rows[np.argsort(who[rows])])
            pairs = {name: _balanced(weights.down[name].flatten(2), up) for name, up in weights.up.items()}
            self.snapshots.append(pairs)
        self.order = np.random.default_rng(0).permutation(len(self.names))

    def scores(self, reader: Reader) -> dict[str, np.ndarray]:
        found = {name: np.zeros(len(self.names)) for name in ("rank1", "sharp", "distance")}
        for asked in np.array_split(self.order, _FOLDS):
            learned = np.random.default_rng(1).permutation(np.setdiff1d(self.order, asked))
            z, mean = reader(learned, asked), self.captions[learned].mean(0)
            stretch = (self.captions[learned].var(0).mean() / z.var(0).mean()).sqrt()
            found["distance"][asked] = ((z - self.captions[asked]).square().mean(1) / self.spread).numpy()
            for name, said in (("rank1", z), ("sharp", mean + stretch * (z - mean))):
                nearest = torch.cdist(said, self.captions[asked]).argmin(1)
                found[name][asked] = (nearest == torch.arange(len(asked))).double().numpy()
        return found

    def ridge(self, view: "_View | None" = None, *, count: int | None = None, snapshots: str = "last") -> Reader:
        """The reader's regression, asked for last snapshots."""
        view = view or _View()

        def read(learned: Rows, asked: Rows) -> Tensor:
            known, last = learned[:count], len(self.snapshots) - 1
            parts = {"last": [[last]], "all": [list(range(last + 1))], "each": [[k] for k in range(last + 1)]}[snapshots]
            return torch.stack([self._read(view, known, asked, part) for part in parts]).mean(0)

        return read

    def _read(self, view: _View, learned: Rows, asked: Rows, parts: list[int]) -> Tensor:
        shown = [self._blocks(view, learned, parts, k, learned) for k in parts]
        known = [torch.cat(blocks) for blocks in zip(*shown, strict=True)]
        asks = self._blocks(view, learned, parts, len(self.snapshots) - 1, asked)
        people = np.concatenate([learned] * len(parts))
        kernels = [_kernels(k, a) for k, a in zip(known, asks, strict=True)]
        return self._solved(sum(k for k, _ in kernels), sum(a for _, a in kernels), people)

    def _blocks(self, view: _View, learned: Rows, parts: list[int], of: int, rows: Rows) -> list[Tensor]:
        """Features of these people in one snapshot, `[people, modules, features]`; directions are those of the learned ones."""
        blocks: dict[str, list[Tensor]] = {}
        centred = self.tokens[learned] - self.tokens[learned].mean(0)
        words = _eigen(torch.einsum("ntd,nte->de", centred, centred))[1][:, : view.probes]
        for name in self.snapshots[of]:
            downs, ups = (torch.cat([self.snapshots[k][name][side][learned] for k in parts]) for side in (0, 1))
            down, up = (side[rows] for side in self.snapshots[of][name])
            (left, u), (right, v) = _directions(downs, ups), _directions(ups.mT, downs.mT)
            u = u[:, : view.probes] * (left[: view.probes] / left[0]).clamp(min=1e-9) ** view.left_power
            v = v[:, : view.probes] * (right[: view.probes] / right[0]).clamp(min=1e-9).sqrt()
            seen = u.T @ up
            if view.first:
                blocks.setdefault("first", []).append(seen @ (down @ v))
            if view.second:
                blocks.setdefault("second", []).append(seen @ (down @ down.mT) @ seen.mT)
            if view.text and down.shape[2] == len(words):
                blocks.setdefault("text", []).append(seen @ (down @ words))
            if view.tokens:
                pattern = _pattern(downs, ups)
                turn = _turn(down, up, *pattern)
                blocks.setdefault("tokens", []).append(torch.cat([u.T @ up @ turn, (turn.mT @ down @ v).mT], 1))
        return [torch.stack([normalize(m.flatten(1)) for m in modules], 1) for modules in blocks.values()]

    def weighted(self) -> Reader:
        """Every layer counts by how much of the captions it alone predicts of people who were left out."""

        def read(learned: Rows, asked: Rows) -> Tensor:
            known, asks = self._last(learned, asked)
            explained = []
            for module in range(known[0].shape[1]):
                kernel = sum(_kernels(k[:, module : module + 1], k[:, module : module + 1])[0] for k in known)
                explained.append(1 - min(_left_out(kernel, self.captions[learned]).values()))
            weights = torch.tensor(explained).clamp(min=0)[:, None].sqrt()
            kernels = [_kernels(weights * k, weights * a) for k, a in zip(known, asks, strict=True)]
            return self._solved(sum(k for k, _ in kernels), sum(a for _, a in kernels), learned)

        return read

    def attended(self) -> Reader:
        """A reader for each layer. A file is read by all, those that agree with most others counting more."""

        def read(learned: Rows, asked: Rows) -> Tensor:
            known, asks = self._last(learned, asked)
            said = []
            for module in range(known[0].shape[1]):
                part = slice(module, module + 1)
                kernels = [_kernels(k[:, part], a[:, part]) for k, a in zip(known, asks, strict=True)]
                said.append(self._solved(sum(k for k, _ in kernels), sum(a for _, a in kernels), learned))
            every = torch.stack(said, 1)
            apart = (every - every.mean(1, keepdim=True)).square().mean(2)
            return (torch.softmax(-apart / apart.mean(), 1)[..., None] * every).sum(1)

        return read

    def gaussian(self) -> Reader:
        def read(learned: Rows, asked: Rows) -> Tensor:
            kernels = [_kernels(k, a) for k, a in zip(*self._last(learned, asked), strict=True)]
            known, asks = sum(k for k, _ in kernels), sum(a for _, a in kernels)
            own, of_asked = known.diagonal(), torch.full((len(asked),), float(known.diagonal().mean()))
            distances = [own[:, None] + own - 2 * known, of_asked[:, None] + own - 2 * asks]
            scale = distances[0].median()
            return self._solved(torch.exp(-distances[0] / scale), torch.exp(-distances[1] / scale), learned)

        return read

    def _last(self, learned: Rows, asked: Rows) -> tuple[list[Tensor], list[Tensor]]:
        last = len(self.snapshots) - 1
        known, asks = (self._blocks(_View(), learned, [last], last, rows) for rows in (learned, asked))
        return known, asks

    def _solved(self, known: Tensor, asks: Tensor, people: Rows) -> Tensor:
        values = self.captions[people]
        errors = _left_out(known, values, people)
        weights = _dual(known, values - values.mean(0), min(errors, key=lambda penalty: errors[penalty]))
        return values.mean(0) + asks @ weights


def _kernels(known: Tensor, asks: Tensor) -> tuple[Tensor, Tensor]:
    """Kernels among the learned ones, and of the asked ones with them, at a mean squared norm of 1."""
    centre = known.mean(0)
    known, asks = (known - centre).flatten(1), (asks - centre).flatten(1)
    size = known.square().sum(1).mean()
    return known @ known.T / size, asks @ known.T / size


def _dual(kernel: Tensor, values: Tensor, penalty: float) -> Tensor:
    return torch.linalg.solve(kernel + penalty * torch.eye(len(kernel)), values)


def _left_out(kernel: Tensor, values: Tensor, people: Rows | None = None) -> dict[float, float]:
    """Error on people who were left out, as a share of their variance, by penalty."""
    who = np.arange(len(values)) if people is None else people
    errors, total = dict.fromkeys(_PENALTIES, 0.0), float((values - values.mean(0)).square().sum())
    for fold in np.array_split(np.random.default_rng(0).permutation(np.unique(who)), _FOLDS):
        out = np.isin(who, fold)
        mean = values[~out].mean(0)
        for penalty in _PENALTIES:
            said = mean + kernel[out][:, ~out] @ _dual(kernel[~out][:, ~out], values[~out] - mean, penalty)
            errors[penalty] += float((said - values[out]).square().sum()) / total
    return errors


def _balanced(down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of `up @ down / |up @ down|` that are alike in size and orthogonal, largest direction first."""
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.mT)
    u, s, v = torch.linalg.svd(r_up @ r_down.mT)
    root = (s / s.square().sum(1, keepdim=True).sqrt()).sqrt()
    return root[:, :, None] * (v @ q_down.mT), (q_up @ u) * root[:, None]


def _turn(down: Tensor, up: Tensor, downs: Tensor, ups: Tensor) -> Tensor:
    """Orthogonal Q for which `up Q` and `Q^T down` are nearest to the pattern (Schönemann 1966)."""
    u, _, v = torch.linalg.svd(up.mT @ ups + down @ downs.mT)
    return u @ v


def _pattern(down: Tensor, up: Tensor, *, rounds: int = 3) -> tuple[Tensor, Tensor]:
    """Mean of the turned factors, from the first person's on (generalised Procrustes analysis, Gower 1975)."""
    downs, ups = down[0], up[0]
    for _ in range(rounds):
        turn = _turn(down, up, downs, ups)
        downs, ups = (turn.mT @ down).mean(0), (up @ turn).mean(0)
    return downs, ups


def _directions(down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and directions of the second moments of `up @ down` on the side of `up`, largest first."""
    return _eigen(torch.einsum("nor,npr->op", up @ (down @ down.mT), up) / len(up))


def _eigen(moments: Tensor) -> tuple[Tensor, Tensor]:
    values, directions = torch.linalg.eigh(moments)
    return values.flip(0), directions.flip(1)


if __name__ == "__main__":
    main()
