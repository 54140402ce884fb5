"""Drawn people with 1 to 100 photos, log-uniform, whose zoo tells what the number of photos does to a file.

python benchmarks/leak_people.py people --first 0 --count 144
loraleak zoo build people -o zoo --images 100 100 --steps 60 160 --batch 2 --prior-batch 1 --prior-share 0.5
"""

import argparse
from pathlib import Path

import numpy as np

from loraleak.people import draw_people, write_people

_SEED = 26
_MOST = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=144)
    arguments = parser.parse_args()
    people = draw_people("public", arguments.first + arguments.count, seed=_SEED)[arguments.first :]
    for number, person in enumerate(people, arguments.first):
        drawn = np.exp(np.random.default_rng([_SEED, number]).uniform(0, np.log(_MOST)))
        write_people(arguments.out, [person], images=max(1, round(float(drawn))), size=64, seed=_SEED, first=number)


if __name__ == "__main__":
    main()
