"""Can somebody find a file's trigger in its weights? Its rank among random words of its length, and among the tokenizer's words.

    python benchmarks/trigger.py zoo --kept-apart 60

Readers learn what is usual from the other people of the zoos. The unit of intervals is the person kept apart. The control gives each
file the trigger of the next person.
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np

from loraleak.bases import load_base
from loraleak.finetuning import Recipe
from loraleak.leaks.trigger import random_words, states_of
from loraleak.readers import Readers, ReadersCard, excitation, samples_of, split_of
from loraleak.readers.trigger import learn_usual
from loraleak.scores import bootstrap_mean
from loraleak.zoo import Zoo

_WORDS = 399
_TOP = (0.01, 0.05, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoos", nargs="+")
    parser.add_argument("--kept-apart", type=int, default=60)
    arguments = parser.parse_args()

    samples = samples_of([Zoo(zoo) for zoo in arguments.zoos], [()])
    learned, apart = split_of(samples, arguments.kept_apart, 0)
    base = load_base("pocket", device="cpu")
    card = ReadersCard(base.sha256, len(learned), 1, 1, (), None, None)
    readers = Readers(card, learn_usual(samples.batches(learned), samples.zoo.shapes))
    triggers = [_trigger(*samples.places[row]) for row in apart]
    vocabulary = sorted(
        w[:-4] for w in base.pipeline.tokenizer.get_vocab() if w.endswith("</w>") and w[:-4].isalpha() and len(w) > 6
    )
    lengths = sorted({len(trigger) for trigger in triggers})
    candidates = {length: random_words(length, _WORDS, seed=0) for length in lengths}
    rows: dict[str, list[float]] = {
        name: [] for name in ("its own trigger", "among the tokenizer's words", "another's trigger")
    }
    for place, row in enumerate(apart):
        trigger, other = triggers[place], _other(triggers, place)
        words = candidates[len(trigger)]
        adapter = samples.places[row][0].adapter(samples.places[row][1])
        values = excitation(
            readers, adapter, states_of(base, [Recipe(trigger=w).prompt for w in (trigger, other, *words, *vocabulary)])
        )
        random, known = values[2 : 2 + len(words)], values[2 + len(words) :]
        rows["its own trigger"].append(float((random >= values[0]).mean()))
        rows["another's trigger"].append(float((random >= values[1]).mean()))
        rows["among the tokenizer's words"].append(float((known >= values[0]).mean()))
    print(f"{len(apart)} people kept apart, {len(learned)} learned from, {len(vocabulary)} words of the tokenizer")
    print(
        "| rank of | mean share above | "
        + " | ".join(f"in the first {share:.0%}" for share in _TOP)
        + " |\n"
        + "|---" * 5
        + "|"
    )
    for name, shares in rows.items():
        _print_row(name, np.array(shares))
    for length in lengths:
        chosen = np.array(
            [share for share, trigger in zip(rows["its own trigger"], triggers, strict=True) if len(trigger) == length]
        )
        _print_row(f"its own trigger, {length} letters, {len(chosen)} people", chosen)


def _print_row(name: str, shares: np.ndarray) -> None:
    cells = [shares, *((shares <= top).astype(float) for top in _TOP)]
    intervals = [bootstrap_mean(cell) for cell in cells]
    print(f"| {name} | " + " | ".join(f"{i.mean:.3f} [{i.low:.3f}, {i.high:.3f}]" for i in intervals) + " |", flush=True)


def _trigger(zoo: Zoo, row: int) -> str:
    return str(json.loads(zoo.manifest["recipe"][row].as_py())["trigger"])


def _other(triggers: Sequence[str], place: int) -> str:
    """The trigger of the next person whose trigger has as many letters."""
    turned = [*triggers[place + 1 :], *triggers[:place]]
    return next((word for word in turned if len(word) == len(triggers[place])), turned[0])


if __name__ == "__main__":
    main()
