"""Reading by encoders, without any picture: how near z comes to the captions of people that an encoder has never seen.

python benchmarks/encoders.py timesteps ZOO --people DIR   the step embedding and all snapshots, against last weights only
python benchmarks/encoders.py models ZOO --people DIR      invariant and published in three threat models
python benchmarks/encoders.py online ZOO --people DIR      learning while fine-tuning, against learning from snapshots

Every variant trains without the noise-prediction loss, for the same number of steps on the same people. It is judged on the
last adapters of held-out people: rank-1 among them by z, and the distance to the person's captions (1: nothing known).
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch

from loraleak.bases import load_base
from loraleak.inversion.learning import TrainingRun
from loraleak.inversion.online import fine_tuned
from loraleak.inversion.public import PublicPeople, read_public_people
from loraleak.inversion.replay import replayed
from loraleak.inversion.train_settings import TrainSettings
from loraleak.people import identities_in
from loraleak.scores import bootstrap_mean
from loraleak.types import StackedFactors
from loraleak.zoo.store import Zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("timesteps", "models", "online"))
    parser.add_argument("zoos", nargs="+")
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--encoders", nargs="+", default=["invariant", "published"], help="of the job `models`")
    parser.add_argument("--online-people", type=int, default=100)
    parser.add_argument("--held-out", type=float, default=0.1)
    parser.add_argument("--out", type=Path, default=Path("docs/timesteps"))
    arguments = parser.parse_args()
    base = load_base("pocket", device="cpu")
    public = read_public_people(
        [Zoo(z) for z in arguments.zoos], identities_in(arguments.people), base, held_out=arguments.held_out
    )
    settings = TrainSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        noise_weight=0.0,
        evaluate_every=100,
        patience=10**6,
        held_out=arguments.held_out,
    )
    print(
        f"{len(public.held_out)} held-out people, {arguments.steps} steps of {settings.batch} adapters; 95% intervals over people"
    )
    {"timesteps": _timesteps, "models": _models, "online": _online}[arguments.job](base, public, settings, arguments)


def _timesteps(base, public, settings, arguments) -> None:
    rows = []
    for count in arguments.counts:
        judged = {}
        for with_steps in (True, False):
            judge = _trained(base, public.with_fewer(count, seed=0), replace(settings, step_embedding=with_steps))
            judged[with_steps] = judge(lambda w: w)
            means = {name: vars(bootstrap_mean(values)) for name, values in judged[with_steps].items()}
            rows.append({"people": count, "step_embedding": with_steps, **means})
            name = "all snapshots, step embedded" if with_steps else "last weights only"
            print(f"{count:>5} people, {name:<30} {_shown(judged[with_steps])}", flush=True)
        gain = {name: judged[True][name] - judged[False][name] for name in judged[True]}
        print(f"{count:>5} people, {'the first less the second':<30} {_shown(gain)}", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    _plot(rows, arguments.out)


def _models(base, public, settings, arguments) -> None:
    for encoder in arguments.encoders:
        for knowledge in ("file", "start"):
            judge = _trained(base, public, replace(settings, encoder=encoder, knowledge=knowledge))
            print(
                f"{encoder:<10} {'initial weights known' if knowledge == 'start' else 'file only':<24} {_shown(judge(lambda w: w))}"
            )
            if knowledge == "file":
                print(f"{encoder:<10} {'file, factored anew':<24} {_shown(judge(_factored_anew))}")


def _online(base, public, settings, arguments) -> None:
    """Compare learning from adapters as fine-tuning gives them with learning from the same adapters, shuffled afterwards.

    The people, the fine-tuning and the number of adapters are the same, and so are the costs. Only the batches differ.
    """
    few = public.with_fewer(arguments.online_people, seed=0)
    steps = sum(int(few.step_of[z][r]) for z in range(len(few.zoos)) for r in few.rows(z, held_out=False, last_only=True))
    for together in (1, 16):
        for rate in (1e-3, 1e-4):
            here = replace(
                settings,
                steps=steps // together,
                batch=max(2, together),
                learning_rate=rate,
                evaluate_every=max(50, steps // together // 20),
            )
            online = _trained(base, few, here, source=lambda training, n=together: fine_tuned(training, n))
            print(f"online, {together:>2} people side by side, rate {rate:g}   {_shown(online(lambda w: w))}", flush=True)
            replay = _trained(base, few, replace(here, steps=steps // here.batch))
            print(f"replay, batches of {here.batch:>2}, rate {rate:g}            {_shown(replay(lambda w: w))}", flush=True)


def _trained(base, public: PublicPeople, settings: TrainSettings, source=replayed):
    """Train, and give a function that judges the best encoder on held-out people. Its argument changes their factors first."""
    with tempfile.TemporaryDirectory() as folder:
        training = TrainingRun(base, public, settings, Path(folder))
        training.run(source(training))
        encoder = training.best_encoder()

    def judge(change) -> dict[str, np.ndarray]:
        means, who = [], []
        for zoo in range(len(public.zoos)):
            rows = public.rows(zoo, held_out=True, last_only=True)
            for start in range(0, len(rows), 64):
                examples = public.examples(zoo, rows[start : start + 64], settings.knowledge)
                with torch.no_grad():
                    means.append(encoder(change(examples.read), torch.zeros_like(examples.steps)).mean)
                who.append(examples.people)
        z, people = torch.cat(means).flatten(1), torch.cat(who)
        captions, gallery = public.captions.flatten(1), torch.tensor(sorted(public.held_out))
        right = gallery[torch.cdist(z, captions[gallery]).argmin(1)] == people
        distance = (z - captions[people]).square().mean(1) / captions.std(0).square().mean()
        return {"rank1": right.double().numpy(), "distance": distance.double().numpy()}

    return judge


def _factored_anew(weights: StackedFactors) -> StackedFactors:
    """The same updates with factors `B M^-1, M A`, where M is random."""
    generator = torch.Generator().manual_seed(0)
    down, up = {}, {}
    for name in weights.up:
        rank = weights.up[name].shape[-1]
        mixing = torch.linalg.qr(torch.randn(len(weights.up[name]), rank, rank, generator=generator))[0]
        down[name], up[name] = mixing @ weights.down[name], weights.up[name] @ mixing.transpose(1, 2)
    return StackedFactors(down, up, weights.scales, torch.full_like(weights.ranks, rank))


def _shown(score: dict[str, np.ndarray]) -> str:
    intervals = {name: bootstrap_mean(values) for name, values in score.items()}
    return "  ".join(f"{name} {i.mean:.3f} [{i.low:.3f}, {i.high:.3f}]" for name, i in intervals.items())


def _plot(rows: list[dict], out: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for with_steps, colour, name in (
        (True, "#1f6feb", "all snapshots, step embedded"),
        (False, "#d1242f", "last weights only"),
    ):
        mine = [row for row in rows if row["step_embedding"] == with_steps]
        x = np.array([row["people"] for row in mine])
        mean, low, high = (np.array([row["rank1"][key] for row in mine]) for key in ("mean", "low", "high"))
        axes.errorbar(x, mean, [mean - low, high - mean], marker="o", capsize=4, color=colour, label=name)
    axes.set_xscale("log")
    axes.set_xticks(x, [str(n) for n in x])
    axes.minorticks_off()
    axes.set_xlabel("public people who were fine-tuned")
    axes.set_ylabel("held-out people found by z (rank-1)")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    for suffix in (".png", ".svg"):
        figure.savefig(out.with_suffix(suffix), dpi=150)


if __name__ == "__main__":
    main()
