"""Search of published adapters' random starts: can a start be rebuilt, though no header tells its seed?

python benchmarks/starts.py FILE...   tries the seeds of examples and habit; each file takes about half a minute on one core
"""

import argparse

import torch
from safetensors.torch import load_file

from loraleak.adapters import load_adapter
from loraleak.errors import AdapterError
from loraleak.inspection.starts import COMMON_SEEDS, find_start
from loraleak.types import Adapter, Factors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(COMMON_SEEDS))
    parser.add_argument("--reach", type=int, default=2**20, help="how many numbers of each seed are searched")
    arguments = parser.parse_args()
    for file in arguments.files:
        adapter = _loaded(file)
        start = find_start(adapter, arguments.seeds, reach=arguments.reach)
        if start is None:
            print(f"{file}: none of {len(arguments.seeds)} seeds")
            continue
        left = [float((adapter.factors[name].down - down).norm() / down.norm()) for name, down in start.down.items()]
        print(
            f"{file}: seed {start.seed}, {start.law}; {len(start.down)} of {len(adapter.factors)} modules, "
            f"correlation {start.correlation:.4f}; A has moved by {torch.tensor(left).median():.3f} of its norm (median)"
        )


def _loaded(file: str) -> Adapter:
    """The adapter as we load it. If we refuse its layout, all tensors that are called down, which is enough here."""
    try:
        return load_adapter(file)
    except AdapterError:
        tensors = {name: value.float() for name, value in load_file(file).items() if "down" in name.rpartition("lora")[2]}
        return Adapter({f"unet.{name}": Factors(down, down.T, None) for name, down in tensors.items()}, "unknown")


if __name__ == "__main__":
    main()
