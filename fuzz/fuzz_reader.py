"""Coverage-guided fuzzing of the reader and the inspector with atheris.

    pip install 'loraleak[fuzz]' && mkdir found && python fuzz/fuzz_reader.py found fuzz/corpus -max_total_time=1800 -rss_limit_mb=2048

Bytes are taken as a file as they are, or as instructions that build a sound container with hostile contents: bit flips alone seldom
get past the header's checks.
"""

import sys

import atheris

with atheris.instrument_imports(include=["loraleak.adapters", "loraleak.inspection"]):
    from reader import try_file

from hostile_files import hostile_file

_BUILT = b"B"


def one_input(data: bytes) -> None:
    if data.startswith(_BUILT):
        provider = atheris.FuzzedDataProvider(data[1:])
        data = hostile_file(lambda low, high: provider.ConsumeIntInRange(low, high))
    try_file(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
