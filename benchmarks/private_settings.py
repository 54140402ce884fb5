"""Search of the DP-SGD settings that keep the most use: python benchmarks/private_settings.py

The people are no victims of `bench paper`. There are 100 photos of each, and epsilon is 50 for an image. The scores are rank-1
among 300 people, of the owner's prompt and of an attack.
"""

import argparse
import tempfile
from pathlib import Path

from loraleak.arms import select_arms
from loraleak.bases import load_base
from loraleak.bench.bench_settings import PaperBench
from loraleak.bench.cases import VICTIM_SEED, CaseSettings, draw_cases, templates
from loraleak.bench.runs import run_cases
from loraleak.defences import training_time
from loraleak.embedders import load_embedder
from loraleak.kits import attack_for
from loraleak.scores import gallery_ranks

_SEED = 77
_ARMS = ("lora-trigger", "lora-z-key")
_FEWER = "fewer-factors:rank=1,targets=cross-attention"
_SETTINGS = (
    f"{_FEWER}+dp-sgd:epsilon=50,batch=20,multiplicity=1",
    f"{_FEWER}+dp-sgd:epsilon=50,batch=20,multiplicity=1,learning_rate=0.02",
    f"{_FEWER}+dp-sgd:epsilon=50,batch=20,multiplicity=1,learning_rate=0.012,freeze_down=true",
    f"early-stopping:share=0.4+{_FEWER}+dp-sgd:epsilon=50,batch=50,multiplicity=1,learning_rate=0.02",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--settings", nargs="+", default=_SETTINGS)
    arguments = parser.parse_args()

    base, embedder = load_base("pocket"), load_embedder("pocket")
    cases = draw_cases("victims", 300, seed=_SEED)
    gallery = templates(cases, embedder, seed=0, private=CaseSettings().photos)
    victims = {case.person for case in draw_cases("victims", PaperBench().victims, seed=VICTIM_SEED)}
    chosen = [case for case in cases if case.person not in victims][: arguments.people]
    arms = [arm for arm in select_arms(_ARMS) if arm.name in _ARMS]
    how = CaseSettings(photos=100, images=6, steps=10)
    print(f"{'owner':>6}{'attack':>8}  settings")
    for text in arguments.settings:
        with tempfile.TemporaryDirectory() as folder:
            results = run_cases(
                base, embedder, chosen, arms, how, Path(folder), attack_for(base, None), defence=training_time(text)
            )
        owner, attack = (
            sum(
                float((gallery_ranks(result.arms[arm], gallery, case.index) == 0).mean())
                for case, result in zip(chosen, results, strict=True)
            )
            / len(chosen)
            for arm in _ARMS
        )
        print(f"{owner:6.2f}{attack:8.2f}  {text}", flush=True)


if __name__ == "__main__":
    main()
