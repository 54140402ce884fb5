"""What readers of weights read in files under post-hoc defences, on the people whom `bench leaks` keeps apart.

    python benchmarks/leaks_defended.py zoo --people people --defences gaussian-noise:level=1 gaussian-noise:level=2

The reader learned from undefended files. Intervals are over people.
"""

import argparse
from pathlib import Path

import numpy as np

from loraleak.bases import load_base
from loraleak.defences import parse_defence
from loraleak.people import identities_in
from loraleak.readers import learn_readers, number_of_photos, samples_of, split_of, words
from loraleak.scores import bootstrap_mean
from loraleak.zoo import Zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoos", nargs="+")
    parser.add_argument("--people", type=Path, nargs="+", required=True)
    parser.add_argument("--defences", nargs="+", required=True)
    parser.add_argument("--kept-apart", type=int, default=60)
    arguments = parser.parse_args()

    samples = samples_of([Zoo(zoo) for zoo in arguments.zoos], [identities_in(folder) for folder in arguments.people])
    readers = learn_readers(samples, kept_apart=arguments.kept_apart)
    _, apart = split_of(samples, arguments.kept_apart, 0)
    base = load_base("pocket", device="cpu")
    names = [trait.name for trait in readers.card.traits]
    print(f"| defence | {' | '.join(names)} | photos, power of 2 |\n{'|---' * (len(names) + 2)}|", flush=True)
    for spelled in ("", *arguments.defences):
        right, errors = [], []
        for row in apart:
            zoo, place = samples.places[row]
            adapter = zoo.adapter(place)
            if spelled:
                adapter = parse_defence(spelled).apply(adapter, base)
            right.append([word.value == samples.traits[row][word.trait] for word in words(readers, adapter)])
            errors.append(abs(np.log2(number_of_photos(readers, adapter).photos / samples.photos[row])))
        columns = [*np.array(right, float).T, np.array(errors, float)]
        cells = [f"{i.mean:.2f} [{i.low:.2f}, {i.high:.2f}]" for i in map(bootstrap_mean, columns)]
        print(f"| {spelled or 'none'} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
