"""Tensors to modules: group them by name, check their shapes, tell the family. `reading` reads their numbers."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loraleak.adapters.container import Container, refuse
from loraleak.adapters.detect import Dialect, Part, classify, component_of
from loraleak.adapters.layouts import diffusers, peft
from loraleak.adapters.layouts.bare import BARE
from loraleak.adapters.layouts.cloneofsimo import CLONEOFSIMO
from loraleak.adapters.layouts.comfyui import COMFYUI
from loraleak.adapters.layouts.kohya import KOHYA
from loraleak.adapters.layouts.lycoris import LYCORIS
from loraleak.adapters.layouts.xlabs import XLABS
from loraleak.adapters.shapes import TensorRole, pair_shapes
from loraleak.families import ENCODERS, FAMILIES, Layer, Named, families_of
from loraleak.untrusted import printable

__all__ = ["DIALECTS", "Contents", "Module", "contents", "names_read"]

DIALECTS: tuple[Dialect, ...] = (
    peft.PEFT,
    KOHYA,
    LYCORIS,
    XLABS,
    COMFYUI,
    CLONEOFSIMO,
    diffusers.OLD,
    diffusers.MIDDLE,
    diffusers.NEW,
    BARE,
)
"""The layouts that we read, in the order to test: a new one is one more file and one more name here."""

_MAX_RANK = 1024
_MAX_NUMBERS = 2**27
_MAX_WIDTH = 2**17
_OTHER_UPDATE = re.compile(r"(.+)\.(diff|oft_\w+|boft_\w+|vera_\w+|lora_(bias|embedding_[AB])|on_input)")


@dataclass
class Module:
    """The tensors of one module, as they are found."""

    dialect: Dialect
    part: Part
    """Name in the file's own words; the role is that of the first tensor."""
    names: dict[TensorRole, str] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    """Shape of the update: `[d_out, d_in]`, or `[c_out, c_in, *kernel]`."""
    size: int = 0
    """Numbers in the pair of factors that the module comes to."""
    rank: int | None = None
    """The file's own, which LoHa and LoKr exceed; None where both halves of LoKr are whole."""
    layer: Layer = field(default_factory=lambda: Layer(()))
    """The layers of diffusers' model that the module is; the component stands first in their paths."""


@dataclass(frozen=True)
class Contents:
    """What a file holds, known before a tensor is read."""

    modules: Mapping[str, Module]
    """Modules by name, sorted."""
    residue: tuple[str, ...]
    """Tensors that were not understood."""
    families: tuple[str, ...]
    """Families that the file fits, the likeliest first; empty where it fits none that we know."""


def contents(file: Path, container: "Container | _Described") -> Contents:
    """Group the tensors of a file by module, check their shapes, and tell its family.

    Raises: AdapterError, in one line, if modules lack factors, or have factors that make no layer.
    """
    found, residue, faults = _group(container)
    updates = {name: module for name, module in found.items() if module.names.keys() - {"alpha", "magnitude"}}
    residue += [tensor for name, module in found.items() if name not in updates for tensor in module.names.values()]
    _rename(container.metadata, updates)
    faults += [fault for module in updates.values() if (fault := _fault(module, container))]
    if faults:
        refuse(file, faults, "export the adapter again")
    named = [Named(m.part.component, m.part.path, m.part.flat, m.shape) for m in updates.values()] or _other_updates(residue)
    hint = next((module.dialect.family for module in updates.values() if module.dialect.family), "")
    families = families_of(named, container.metadata, hint) if named else ()
    modules: dict[str, Module] = {}
    for module in updates.values():
        name, module.layer = _place(module, families)
        if name in modules:
            faults.append(f"{printable(name)} stands there twice, under two names")
        if module.shape[0] % sum(module.layer.shares):
            faults.append(f"{printable(name)} has {module.shape[0]} rows, which cannot be cut in {sum(module.layer.shares)}")
        modules[name] = module
    if faults:
        refuse(file, faults, "export the adapter again")
    return Contents(dict(sorted(modules.items())), tuple(sorted(residue)), families)


def names_read(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> set[str]:
    """The layers of diffusers' model that a file with tensors of these names and shapes would be read as.

    Raises: AdapterError, as `contents` does.
    """
    held = contents(Path("the new file"), _Described(_Shapes(shapes), metadata))
    return {target for module in held.modules.values() for target in module.layer.targets}


class _Shapes(dict[str, tuple[int, ...]]):
    """Shapes of tensors that are in no file."""

    def shape(self, name: str) -> tuple[int, ...]:
        return self[name]


@dataclass(frozen=True)
class _Described:
    tensors: _Shapes
    metadata: Mapping[str, str]


def _group(container: Container | _Described) -> tuple[dict[str, Module], list[str], list[str]]:
    modules: dict[str, Module] = {}
    residue: list[str] = []
    faults: list[str] = []
    for tensor in container.tensors:
        known = classify(tensor, DIALECTS)
        if known is None:
            residue.append(tensor)
            continue
        dialect, part = known
        module = modules.setdefault(part.module, Module(dialect, part))
        if part.role in module.names:
            faults.append(f"{printable(tensor)} and {printable(module.names[part.role])} are the same factor")
            continue
        only_alpha = module.names.keys() <= {"alpha", "magnitude"}
        module.names[part.role] = tensor
        if part.role not in ("alpha", "magnitude"):
            module.dialect = dialect if only_alpha else max(module.dialect, dialect, key=DIALECTS.index)
    return modules, residue, faults


def _other_updates(residue: list[str]) -> list[Named]:
    """Layers that are changed in another way than by low rank, whose names tell the family all the same."""
    stems = {f"{match[1]}.alpha" for tensor in residue if (match := _OTHER_UPDATE.fullmatch(tensor))}
    found = [known[1] for stem in sorted(stems) if (known := classify(stem, DIALECTS))]
    return [Named(part.component, part.path, part.flat, ()) for part in found]


def _rename(fields: Mapping[str, str], modules: Mapping[str, Module]) -> None:
    """Better names, where only the header and all modules of the file together tell them."""
    for dialect in DIALECTS:
        mine = {name: module for name, module in modules.items() if module.dialect is dialect}
        for name, new in dialect.renames(fields, list(mine)).items():
            part = mine[name].part
            mine[name].part = replace(part, path=new.removeprefix(f"{part.component}."))


def _place(module: Module, families: tuple[str, ...]) -> tuple[str, Layer]:
    """The module's name, and the layers that it is, component first. A name that no family has stays as it is."""
    part = module.part
    family = FAMILIES[families[0]] if families else None
    if part.component.startswith("text_encoder"):
        found, component = ENCODERS.find(part.path, flat=part.flat), part.component
        if component == "text_encoder_3" and family is not None and family.t5:
            component = family.t5
    else:
        found = family.find(part.path, flat=part.flat) if family is not None else None
        component = component_of(part.component, part.path, family.component if family is not None else "")
    if found is None:
        name = f"{component}.{part.path}"
        return name, Layer((name,))
    targets = tuple(f"{component}.{target}" for target in found.layer.targets)
    return f"{component}.{found.name}", replace(found.layer, targets=targets)


def _fault(module: Module, container: Container | _Described) -> str:
    """What is wrong with a module's shapes; sets its shape, rank and size."""
    name = printable(module.part.module)
    shapes = {role: container.tensors.shape(tensor) for role, tensor in module.names.items()}
    for role, shape in shapes.items():
        if role == "alpha" and math.prod(shape) != 1:
            return f"{name} has an alpha of {math.prod(shape)} numbers"
    try:
        pair = pair_shapes(shapes)
    except ValueError as error:
        return f"{name} {error}"
    if pair.rank is not None and pair.rank > _MAX_RANK:
        return f"{name} has rank {pair.rank}, more than {_MAX_RANK}"
    module.shape, module.rank = (pair.up[0], *pair.down[1:]), pair.rank
    module.size = math.prod(pair.down) + math.prod(pair.up)
    if max(module.shape) > _MAX_WIDTH:
        return f"{name} is {max(module.shape)} wide, more than {_MAX_WIDTH}"
    if pair.size > _MAX_NUMBERS:
        return f"{name} comes to {pair.size:,} numbers, more than {_MAX_NUMBERS:,}"
    return ""
