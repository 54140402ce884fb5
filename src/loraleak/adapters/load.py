"""Reading an adapter: find the file, classify its tensors, pair them, check them, account for every one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from loraleak.adapters import diffusers, peft
from loraleak.adapters.container import Container, printable, read_container, refuse
from loraleak.adapters.detect import Dialect, Role, classify, unread_layout
from loraleak.types import Adapter, Factors

__all__ = ["DIALECTS", "load_adapter", "locate"]

DIALECTS: tuple[Dialect, ...] = (peft.PEFT, diffusers.OLD, diffusers.MIDDLE, diffusers.NEW)
"""The layouts that we read, in the order to test: a new one is one more file and one more name here."""

_FOLDER_FILES = (peft.WEIGHTS, "pytorch_lora_weights.safetensors")
_MOST_RANK = 1024
_MOST_COMPANION_BYTES = 2**20


@dataclass
class _Module:
    """The tensors of one module, as they are found."""

    dialect: Dialect
    names: dict[Role, str] = field(default_factory=dict)


def load_adapter(path: str | Path) -> Adapter:
    """Read a LoRA from a .safetensors file, or from a PEFT or diffusers folder.

    Factors come as contiguous float32. A scale that the file does not tell is None. What was not understood is listed in `residue`.
    Raises: AdapterError, in one line, if the file is unusable (see `read_container`), if factors are missing, of unequal rank, of
    impossible shape or beyond rank 1024, or if there is no pair of factors in a layout that we read.
    """
    file = locate(Path(path))
    container = read_container(file)
    modules, residue, faults = _group(container)
    pairs = {name: found for name, found in modules.items() if {"down", "up"} & found.names.keys()}
    residue += [found.names["alpha"] for name, found in modules.items() if name not in pairs]
    if not pairs:
        _refuse_unread(file, container)
    faults += [fault for name, found in pairs.items() if (fault := _pair_fault(name, found, container.tensors))]
    if faults:
        refuse(file, faults, "export the adapter again")
    dialects = {id(found.dialect): found.dialect for found in pairs.values()}
    fields = {**container.metadata, **_companions(file, dialects)}
    scales = {key: dialect.scales(fields) for key, dialect in dialects.items()}
    factors = {}
    for name, found in sorted(pairs.items()):
        down, up = (container.tensors[found.names[role]].float().contiguous() for role in ("down", "up"))
        rank = down.shape[0]
        alpha = found.names.get("alpha")
        scale = scales[id(found.dialect)](name, rank) if alpha is None else container.tensors[alpha].item() / rank
        factors[name] = Factors(down=down, up=up, scale=scale)
    kinds = Counter(found.dialect.name for found in pairs.values())
    return Adapter(
        factors=factors,
        format="+".join(kind for kind, _ in kinds.most_common()),
        metadata=fields,
        sha256=container.sha256,
        residue=tuple(printable(name, 300) for name in sorted(residue)),
    )


def locate(path: Path) -> Path:
    """The file with the weights: the path itself, or the one in a PEFT or diffusers folder. Raises: AdapterError."""
    if not path.is_dir():
        return path
    files = [path / name for name in _FOLDER_FILES if (path / name).is_file()]
    if not files:
        refuse(path, [f"the folder holds no {' or '.join(_FOLDER_FILES)}"], "give the .safetensors file itself")
    return files[0]


def _group(container: Container) -> tuple[dict[str, _Module], list[str], list[str]]:
    modules: dict[str, _Module] = {}
    residue: list[str] = []
    faults: list[str] = []
    for tensor in container.tensors:
        known = classify(tensor, DIALECTS)
        if known is None:
            residue.append(tensor)
            continue
        dialect, part = known
        module = modules.setdefault(part.module, _Module(dialect))
        if part.role in module.names:
            faults.append(f"{printable(tensor)} and {printable(module.names[part.role])} are the same factor")
            continue
        module.names[part.role] = tensor
        if part.role != "alpha":
            module.dialect = dialect
    return modules, residue, faults


def _pair_fault(name: str, found: _Module, tensors: Mapping[str, Tensor]) -> str:
    for role, other in (("down", "up"), ("up", "down")):
        if role not in found.names:
            return f"{printable(name)} has its {other} factor but not its {role} factor"
    down, up = tensors[found.names["down"]], tensors[found.names["up"]]
    shapes = f"{printable(name)} has factors of shape {list(down.shape)} and {list(up.shape)}"
    if down.ndim not in (2, 3, 4, 5) or up.ndim != down.ndim or any(side != 1 for side in up.shape[2:]):
        return f"{shapes}, which make no layer"
    if down.shape[0] != up.shape[1]:
        return f"{shapes}, of different rank"
    if down.shape[0] > _MOST_RANK:
        return f"{printable(name)} has rank {down.shape[0]}, more than {_MOST_RANK}"
    if not all(torch.isfinite(factor.float()).all() for factor in (down, up)):
        return f"{printable(name)} holds numbers beyond float32"
    if "alpha" in found.names and tensors[found.names["alpha"]].numel() != 1:
        return f"{printable(name)} has an alpha of {tensors[found.names['alpha']].numel()} numbers"
    return ""


def _refuse_unread(file: Path, container: Container) -> NoReturn:
    layout = unread_layout(container.tensors)
    if layout:
        refuse(
            file,
            [f"it looks like {layout} layout, which loraleak cannot read yet"],
            "convert it to diffusers or PEFT layout",
        )
    example = printable(next(iter(container.tensors), "nothing"))
    refuse(
        file,
        [f"none of its {len(container.tensors)} tensors belongs to a LoRA that we know (the first: {example})"],
        "give a LoRA in diffusers or PEFT layout",
    )


def _companions(file: Path, dialects: Mapping[int, Dialect]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in {dialect.companion for dialect in dialects.values() if dialect.companion}:
        companion = file.with_name(name)
        if not companion.is_file():
            continue
        if companion.stat().st_size > _MOST_COMPANION_BYTES:
            refuse(companion, [f"it is larger than {_MOST_COMPANION_BYTES >> 20} MiB"], "export the adapter again")
        try:
            found[name] = companion.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            refuse(companion, ["it is no readable UTF-8 text"], "export the adapter again, or remove that file")
    return found
