"""Coverage-guided fuzzing of the reader and the inspector with atheris.

    pip install 'loraleak[fuzz]' && mkdir found && python fuzz/fuzz_reader.py found fuzz/corpus -max_total_time=1800 -rss_limit_mb=2048

Bytes are taken as a file as they are, or as instructions that build a sound container with hostile contents. Sound files are changed
in their names, types, shapes, numbers and fields: bit flips alone seldom get past the header's checks. More folders with real files
can be named after `fuzz/corpus`.
"""

import random
import sys

import atheris

with atheris.instrument_imports(include=["loraleak.adapters", "loraleak.families", "loraleak.inspection"]):
    from reader import try_file

from hostile_files import hostile_file
from mutated_files import mutated_file

_BUILT = b"B"


def one_input(data: bytes) -> None:
    if data.startswith(_BUILT):
        provider = atheris.FuzzedDataProvider(data[1:])
        data = hostile_file(lambda low, high: provider.ConsumeIntInRange(low, high))
    try_file(data)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Another input from this one: mostly the same file with other contents."""
    draw = random.Random(seed)
    changed = mutated_file(data, draw.randint) if draw.random() < 0.9 else None
    if changed is not None and len(changed) <= max_size:
        return changed
    return bytes(atheris.Mutate(data, max_size))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()
