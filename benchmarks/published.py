"""When the published encoder reads: what it learns of people whom it has not seen, by where adapters started.

ZOOS is `--own ZOO --shared ZOO --frozen ZOO`; one that is not given is left out.

python benchmarks/published.py ridge ZOOS --people DIR         what is there to be read, by kernel ridge regression
python benchmarks/published.py grid ZOOS --people DIR          the published network, cell by cell; a stopped run goes on
python benchmarks/published.py online --own ZOO --people DIR    Algorithm 2 begun, without and with the code's slip
python benchmarks/published.py matching --own ZOO --people DIR  matching updates, from the true start and others
python benchmarks/published.py plot                            the curves of the grid and what ridge finds, as a figure

The zoos hold the same people, images, recipes and draws. They differ in the start of A, one of its own for each adapter or one
for all (`zoo build --start-seed`), or in that A stays there (`--defence fewer-factors:freeze_down=true`). `rank1` is by the mean of
z among held-out people's captions, `drawn` by a drawn z, as published; `distance` 1 is had by whoever knows nothing. `probed` is the
same of what ridge regression makes of z, for a z that was not drawn to captions. `explained` is how much more of the noise in a
person's pictures is predicted through their own adapter with their z than with another's, in shares of the loss. Intervals are over
people.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from published_scores import explained, judged, scores_of, shown_scores

from loraleak.arms import Scene
from loraleak.arms.matching import guess, guessed_start
from loraleak.bases import load_base
from loraleak.embedders import load_embedder
from loraleak.inversion import since_start, stack_adapters
from loraleak.inversion.algorithm2 import algorithm2_source
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.public import Examples, PublicPeople, read_public_people
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import Algorithm2, Knowledge, TrainSettings
from loraleak.inversion.weights import start_factors
from loraleak.people import identities_in
from loraleak.types import StackedFactors
from loraleak.zoo.store import Zoo

_STARTS: Mapping[str, tuple[str, Knowledge]] = {
    "one start for all": ("shared", "shared-start"),
    "a start of its own": ("own", "start"),
    "a start of its own, and A_0 given": ("given", "start"),
    "A frozen at a start of its own": ("frozen", "start"),
}
_NOISE_ALONE = {
    "caption_weight": 0.0,
    "noise_weight": 1.0,
    "noise_images": 1,
    "loss_weighting": "uniform",
    "least_strength": 1.0,
}
"""The published loss."""
_PENALTIES = (1e-3, 1e-2, 1e-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("ridge", "grid", "online", "matching", "plot"))
    parser.add_argument("--own", type=Path)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--frozen", type=Path)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--work", type=Path, default=Path("published-work"))
    parser.add_argument("--until", type=int, default=20, help="fine-tuning step of the last snapshot that is used")
    parser.add_argument("--updates", type=int, default=1_000)
    parser.add_argument("--longest-run", type=int, default=40, help="of the job `online`")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--victims", type=int, default=6, help="of the job `matching`")
    parser.add_argument("--held-out", type=float, default=0.18)
    parser.add_argument("--cells", nargs="+", default=[f"{start}|{norm}" for norm in ("norm", "no norm") for start in _STARTS])
    parser.add_argument("--out", type=Path, default=Path("docs/published"))
    arguments = parser.parse_args()
    if arguments.job == "plot":
        _plot(arguments.work, arguments.out)
        return
    base = load_base("pocket", device="cpu")
    zoos = {name: folder for name in ("own", "shared", "frozen") if (folder := getattr(arguments, name)) is not None}
    public = read_zoos(zoos, arguments.people, base, held_out=arguments.held_out, last=arguments.until)
    if "own" in public:
        public["given"] = _in_basis_of_start(public["own"])
    {"ridge": _ridge, "grid": _grid, "online": _online, "matching": _matching}[arguments.job](base, public, arguments)


def read_zoos(zoos: Mapping[str, Path], people: Path, base, *, held_out: float, last: int) -> dict[str, PublicPeople]:
    """Zoos of the same people, up to a fine-tuning step. Pictures and captions are read once."""
    opened = {name: Zoo(folder) for name, folder in zoos.items()}
    first = read_public_people([next(iter(opened.values()))], identities_in(people), base, held_out=held_out)
    index = {name: i for i, name in enumerate(first.names)}
    return {
        name: until(
            replace(
                first,
                zoos=(zoo,),
                person_of=(np.array([index[person] for person in zoo.manifest["person"].to_pylist()]),),
                step_of=(zoo.manifest["step"].to_numpy(),),
                last=(zoo.last_rows(),),
            ),
            last,
        )
        for name, zoo in opened.items()
    }


def until(public: PublicPeople, step: int) -> PublicPeople:
    """The same people without the snapshots after this step."""
    known = [np.where(steps <= step, people, -1) for people, steps in zip(public.person_of, public.step_of, strict=True)]
    last = [
        np.array(
            [max(np.flatnonzero(people == person), key=lambda row: steps[row]) for person in np.unique(people[people >= 0])]
        )
        for people, steps in zip(known, public.step_of, strict=True)
    ]
    return replace(public, person_of=tuple(known), last=tuple(last))


@dataclass(frozen=True)
class _InBasisOfStart(PublicPeople):
    """People whose adapters are shown multiplied into one basis for all, that of their start: `P^T A_0^T dA` and `B A_0 P`.

    To first order `B = -rate * sum(G) A_0^T`: each start writes the gradients G in a basis of its own, and A_0 undoes that.
    """

    directions: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """P, as many directions of each module's inputs as the rank: those in which `B A_0` of the people to learn from is largest."""

    def examples(self, zoo: int, rows: np.ndarray, knowledge: Knowledge = "file") -> Examples:
        examples = super().examples(zoo, rows, knowledge)
        change, down, up = examples.read, {}, {}
        for name, start in start_factors(examples.weights, self.zoos[zoo].starts[rows]).items():
            seen = start @ self.directions[name]
            down[name], up[name] = seen.transpose(1, 2) @ change.down[name], change.up[name] @ seen
        return replace(examples, read=StackedFactors(down, up, change.scales, change.ranks))


def _in_basis_of_start(public: PublicPeople) -> _InBasisOfStart:
    rows = public.rows(0, held_out=False, last_only=True)
    weights = public.zoos[0].batch(rows)
    directions = {}
    for name, start in start_factors(weights, public.zoos[0].starts[rows]).items():
        seen = torch.nn.functional.normalize((weights.up[name] @ start).flatten(1)).unflatten(1, (-1, start.shape[2]))
        directions[name] = torch.linalg.eigh(torch.einsum("boi,boj->ij", seen, seen))[1][:, -public.rank :]
    return _InBasisOfStart(**{f.name: getattr(public, f.name) for f in fields(public)}, directions=directions)


def _ridge(base, public: Mapping[str, PublicPeople], arguments) -> None:
    """Kernel ridge regression from the last snapshots to captions, with the penalty that suits held-out people best."""
    cells: dict[str, tuple[str, str, Knowledge]] = {
        "B A; a start of its own": ("own", "own", "file"),
        "B A; one start for all": ("shared", "shared", "file"),
        "B A; learned from own starts, asked of one start": ("own", "shared", "file"),
        "B B^T; a start of its own": ("own", "own", "file"),
        **{f"A and B; {start}": (zoo, zoo, knowledge) for start, (zoo, knowledge) in _STARTS.items() if zoo != "frozen"},
        "B; A frozen at a start of its own": ("frozen", "frozen", "file"),
        "B A; A frozen at a start of its own": ("frozen", "frozen", "file"),
    }
    found = {
        name: _regressed(public[learned], public[asked], knowledge, read=name.partition(";")[0])
        for name, (learned, asked, knowledge) in cells.items()
        if learned in public and asked in public
    }
    for name, scores in found.items():
        print(f"{name:<50} {shown_scores(scores)}", flush=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    read = {start: "B" if zoo == "frozen" else "A and B" for start, (zoo, _) in _STARTS.items()}
    ranks = {start: float(found[name]["rank1"].mean()) for start in _STARTS if (name := f"{read[start]}; {start}") in found}
    (arguments.work / "ridge.json").write_text(json.dumps(ranks) + "\n")
    for one, other in (("B A; one start for all", "B A; a start of its own"), tuple(cells)[1:3]):
        if one in found and other in found:
            less = {metric: found[one][metric] - found[other][metric] for metric in found[one]}
            print(f"{one}, less {other.removeprefix('B A; ')}:  {shown_scores(less)}", flush=True)


def _regressed(learned: PublicPeople, asked: PublicPeople, knowledge: Knowledge, *, read: str) -> dict[str, np.ndarray]:
    known, unknown = learned.rows(0, held_out=False, last_only=True), asked.rows(0, held_out=True, last_only=True)
    parts = [learned.examples(0, known, knowledge), asked.examples(0, unknown, knowledge)]
    people, n = torch.cat([part.people for part in parts]), len(known)
    likeness = kernel([part.read for part in parts], read)
    captions = learned.captions.flatten(1)[people[:n]]
    scores = []
    for penalty in _PENALTIES:
        weights = torch.linalg.solve(likeness[:n, :n] + penalty * torch.eye(n), captions - captions.mean(0))
        scores.append(scores_of(asked, captions.mean(0) + likeness[n:, :n] @ weights, people[n:]))
    return min(scores, key=lambda s: s["distance"].mean())


def kernel(parts: Sequence[StackedFactors], read: str) -> torch.Tensor:
    """Mean over modules of the cosines between adapters: of `B A`, `B B^T`, B, or B and the change of A, each on its own."""
    count = sum(len(part.scales) for part in parts)
    total, terms = torch.zeros(count, count), 0
    for name in parts[0].up:
        up, down = (torch.cat([getattr(part, side)[name].flatten(2) for part in parts]) for side in ("up", "down"))
        for matrices in {"B A": [up @ down], "B B^T": [up @ up.transpose(1, 2)], "B": [up], "A and B": [up, down]}[read]:
            flat = torch.nn.functional.normalize(matrices.flatten(1))
            total, terms = total + flat @ flat.T, terms + 1
    return total / terms


def _grid(base, public: Mapping[str, PublicPeople], arguments) -> None:
    held_out: dict[str, dict[str, np.ndarray]] = {}
    for cell in arguments.cells:
        start, norm, *loss = cell.split("|")
        zoo, knowledge = _STARTS[start]
        if zoo not in public:
            continue
        folder = arguments.work / cell.replace("|", ", ")
        if not (folder / "result.json").exists():
            settings = settings_of(arguments, knowledge)
            if loss:
                settings = replace(settings, **_NOISE_ALONE, noise_adapters=arguments.batch)
            training = Recorded(base, public[zoo], settings, folder, sizes={"normalised": norm == "norm"})
            training.run(replayed(training))
            result = judged(training.best_encoder(), public[zoo], knowledge) | {
                "explained": explained(base, training.best_encoder(), public[zoo], knowledge)
            }
            (folder / "result.json").write_text(json.dumps({"start": start, "norm": norm, **result}) + "\n")
        result = json.loads((folder / "result.json").read_text())
        for people in ("held_out", "trained"):
            scores = {name: np.array(values) for name, values in result[people].items()}
            print(f"{cell:<56} {people:<9} {shown_scores(scores)}", flush=True)
            if people == "held_out":
                held_out[cell] = scores
        print(f"{'':<46}spread of tokens {result['tokens']:.3f}, of z {result['z']:.3f}", flush=True)
        print(f"{'':<46}{shown_scores({'explained': np.array(result['explained'])})}", flush=True)
    shown_beside_first(held_out)


def settings_of(arguments, knowledge: Knowledge) -> TrainSettings:
    """Settings with which the published network fits what it learns from. They depart from the published optimiser."""
    return TrainSettings(
        encoder="published",
        knowledge=knowledge,
        steps=arguments.updates,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        weight_decay=5e-4,
        told_steps=1.0,
        noise_weight=0.0,
        beta=0.0,
        early_stopping=False,
        evaluate_every=100,
    )


def _online(base, public: Mapping[str, PublicPeople], arguments) -> None:
    """The published training's first updates. Nothing but the length of the runs departs from it."""
    for slip in (False, True):
        algorithm = Algorithm2(longest_run=arguments.longest_run, slip=slip)
        folder = arguments.work / f"online, {'with' if slip else 'without'} the slip"
        updates = arguments.updates
        settings = algorithm.applied(TrainSettings(encoder="published", steps=updates, evaluate_every=updates))
        training = Recorded(base, public["own"], settings, folder, facts=asdict(algorithm))
        training.run(algorithm2_source(training, algorithm))
        lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
        losses = [line["noise"] for line in lines if line["of"] == "train"]
        held_out = judged(training.best_encoder(), public["own"], "start")["held_out"]
        print(
            f"{folder.name}: loss {np.mean(losses[:100]):.3f}, then {np.mean(losses[-200:]):.3f}  {shown_scores(held_out)}",
            flush=True,
        )


def _matching(base, public: Mapping[str, PublicPeople], arguments) -> None:
    """Guess pictures whose gradient makes B, with A as it started, as it was shared, and as somebody guesses who knows neither."""
    embedder, mine = load_embedder("pocket"), public["own"]
    people = {person.name: person.everything() for person in mine.people}
    faces = np.stack([embedder.embed(photos).vectors.mean(0) for photos in people.values()])
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    rows = mine.rows(0, held_out=True, last_only=True)[: arguments.victims]
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        adapter, person = mine.zoos[0].adapter(int(row)), int(mine.person_of[0][row])
        scene = Scene(base, adapter, seed=int(row))
        weights = stack_adapters([adapter], mine.shapes)
        change = since_start(weights, mine.zoos[0].starts[[row]])
        true = {name: (value - change.down[name])[0] for name, value in weights.down.items()}
        starts = {"the true start": true, "A as shared": None, "a guessed start": guessed_start(scene)}
        for name, start in starts.items():
            latents = guess(scene, guesses=4, iterations=40, rate=0.1, start=start)
            with torch.no_grad():
                likenesses = embedder.embed(list(base.decode(latents))).vectors @ faces.T
            mean = likenesses.mean(0)
            scores = {"rank1": float(mean.argmax() == person), "cosine": float(mean[person]), "of others": float(mean.mean())}
            for key, value in scores.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    for name, scores in found.items():
        print(f"{name:<18} {len(rows)} people among {len(faces)}  {shown_scores(scores)}", flush=True)


def shown_beside_first(held_out: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Every cell less the first one, person by person."""
    first, *others = held_out
    for other in others:
        less = {metric: held_out[other][metric] - held_out[first][metric] for metric in held_out[first]}
        print(f"{other}, less {first}:  {shown_scores(less)}", flush=True)


class Recorded(TrainingRun):
    """A training that also writes its curve, a line for every figure."""

    def _log(self, of: str, figures: Mapping[str, float]) -> None:
        super()._log(of, figures)
        with (self.folder / "curve.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step, "of": of, **figures}) + "\n")


def _plot(work: Path, out: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = 3 if any(work.glob("*, noise alone/curve.jsonl")) else 2
    figure, axes = plt.subplots(1, panels, figsize=(5 * panels, 4))
    colours = dict(zip(_STARTS, ("#1f6feb", "#d1242f", "#1a7f37", "#8250df"), strict=True))
    for folder in sorted(path.parent for path in work.glob("*/curve.jsonl")):
        start, *cell = folder.name.removesuffix(", noise alone").rsplit(", ", 1)
        if start not in colours:
            continue
        alone = folder.name.endswith("noise alone")
        lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
        style = {"color": colours[start], "linestyle": "-" if cell == ["norm"] else ":"}
        trained = [(line["step"], line["noise" if alone else "caption"]) for line in lines if line["of"] == "train"]
        held_out = [(line["step"], line["loss"], line["rank1"]) for line in lines if line["of"] == "held-out"]
        panel = axes[2] if alone else axes[0]
        steps, losses = (np.array(column) for column in zip(*trained, strict=True))
        smooth = np.convolve(losses, np.ones(50) / 50, mode="valid")
        panel.plot(steps[len(steps) - len(smooth) :], smooth, alpha=0.35, **style)
        steps, losses, ranks = (np.array(column) for column in zip(*held_out, strict=True))
        panel.plot(steps, losses, marker="o", markersize=3, **style)
        if not alone:
            label = start if cell == ["norm"] else f"{start}, no norm"
            axes[1].plot(steps, ranks, marker="o", markersize=3, label=label, **style)
    for start, rank in json.loads((work / "ridge.json").read_text()).items():
        axes[1].axhline(rank, color=colours[start], linewidth=0.8, linestyle="--")
    axes[0].axhline(1, color="grey", linewidth=0.8)
    axes[0].set_ylabel("distance of z to the captions\n(pale: people it learns from)")
    axes[0].set_ylim(0, 2.2)
    axes[1].set_ylabel("held-out adapters whose person z finds\n(dashed: kernel ridge regression)")
    axes[1].set_ylim(0, 0.7)
    if panels == 3:
        axes[2].set_ylabel("noise-prediction loss, where it is the only one\n(pale: people it learns from)")
    for axis in axes:
        axis.set_xlabel("updates of the encoder")
        axis.spines[["top", "right"]].set_visible(False)
    axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.8))
    figure.tight_layout()
    for suffix in (".png", ".svg"):
        figure.savefig(out.with_suffix(suffix), dpi=150)


if __name__ == "__main__":
    main()
