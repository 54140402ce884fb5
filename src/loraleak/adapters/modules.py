"""Tensors to modules: group them by name, check their shapes, tell the family, then read one module after the other."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from loraleak.adapters.container import Container, refuse
from loraleak.adapters.detect import Dialect, Part, ScaleFrom, Scales, classify, component_of
from loraleak.adapters.layouts import diffusers, peft
from loraleak.adapters.layouts.bare import BARE
from loraleak.adapters.layouts.cloneofsimo import CLONEOFSIMO
from loraleak.adapters.layouts.comfyui import COMFYUI
from loraleak.adapters.layouts.kohya import KOHYA
from loraleak.adapters.layouts.lycoris import LYCORIS
from loraleak.adapters.layouts.xlabs import XLABS
from loraleak.adapters.reduce import Array, Halves, TensorRole, halves_of, pair_of_halves, pair_shapes
from loraleak.families import ENCODERS, FAMILIES, Layer, Named, families_of
from loraleak.untrusted import printable

__all__ = ["DIALECTS", "Contents", "Module", "Update", "can_be_cut", "contents", "names_read", "parts", "read_modules"]

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
_CONVOLUTION = re.compile(r"unet\.(.*\.)?(conv1|conv2|conv|conv_in|conv_out)")
_POINTWISE = re.compile(r"unet\..*\.conv_shortcut")
_PROJECTION = re.compile(r"unet\..*\.proj_(in|out)")


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


@dataclass(frozen=True)
class Update:
    """One layer of diffusers' model, or of the original code where it has several of these as one."""

    name: str
    source: str
    """The module of the file that it is, or is cut from."""
    layer: Layer
    """The layers of diffusers' model that share its rows."""
    shape: tuple[int, ...]
    """`[d_out, d_in]`, or `[c_out, c_in, *kernel]`."""
    halves: Halves
    """The update without its scale, in float32: a pair of factors, or LoKr's two halves."""
    scale: float | None
    """None where the file does not tell."""
    scale_from: ScaleFrom
    """What tells the scale: `alpha`, `configuration` or `header`; `loaders` where nothing does, and all of them take 1."""
    rank: int | None
    """The file's own, which LoHa and LoKr exceed; None where both halves of LoKr are whole."""
    magnitude: Array | None
    """Magnitudes of DoRA, `[d_out, 1, *ones]`, or `[1, d_in, *ones]` where it was taken over the other side."""


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


def read_modules(file: Path, container: Container, held: Contents, fields: Mapping[str, str]) -> Iterator[Update]:
    """The modules one after the other, in float32. LoKr stays a Kronecker product, and a fused layer stays whole: see `parts`.

    Raises: AdapterError, in one line, if a module holds NaN, infinity or numbers beyond float32, or if two modules are the same layer.
    """
    scales = {module.dialect: module.dialect.scales(fields) for module in held.modules.values()}
    seen: set[str] = set()
    for name, module in held.modules.items():
        update = _read(file, container, name, module, scales[module.dialect])
        if any(role.startswith(("hada_", "lokr_")) for role in module.names):
            update = _with_kernel(update, held.families)
        for target in update.layer.targets:
            if target in seen:
                refuse(file, [f"{printable(target)} stands there twice, under two names"], "export the adapter again")
            seen.add(target)
        yield update


def parts(update: Update) -> Iterator[Update]:
    """The layers of diffusers' model that an update is.

    Where the cut runs through the blocks of LoKr's Kronecker product, the product is formed first.
    """
    layer, magnitude = update.layer, update.magnitude
    if layer.is_plain:
        yield update
        return
    rows, *_ = update.shape
    by_rows = magnitude is not None and magnitude.shape[0] == rows
    swapped = layer.swapped and rows == 2 * update.shape[1]
    sizes = [rows // sum(layer.shares) * share for share in layer.shares]
    ends = np.cumsum(sizes)
    halves = update.halves
    block = len(halves[1][0]) if len(halves) == 2 else 1
    if any(end % block for end in (*ends, rows // 2 if swapped else 0)):
        halves, block = (pair_of_halves(halves),), 1
    (first, *factors), *others = halves
    if swapped:
        first = np.roll(first, rows // 2 // block, 0)
        magnitude = np.roll(magnitude, rows // 2, 0) if magnitude is not None and by_rows else magnitude
    for target, size, end in zip(layer.targets, sizes, ends, strict=True):
        cut = first[(end - size) // block : end // block]
        own = magnitude[end - size : end] if magnitude is not None and by_rows else magnitude
        yield replace(
            update,
            name=target,
            layer=Layer((target,)),
            shape=(size, *update.shape[1:]),
            halves=((cut, *factors), *others),
            magnitude=own,
        )


def can_be_cut(update: Update) -> bool:
    """Whether `parts` gives the layers without forming a Kronecker product."""
    if len(update.halves) == 1:
        return True
    block, rows = len(update.halves[1][0]), update.shape[0]
    unit = rows // sum(update.layer.shares)
    return unit % block == 0 and not (update.layer.swapped and rows // 2 % block)


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
    """What is wrong with a module's shapes; sets its shape and size."""
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
    module.shape = (pair.up[0], *pair.down[1:])
    module.size = math.prod(pair.down) + math.prod(pair.up)
    if max(module.shape) > _MAX_WIDTH:
        return f"{name} is {max(module.shape)} wide, more than {_MAX_WIDTH}"
    if pair.size > _MAX_NUMBERS:
        return f"{name} comes to {pair.size:,} numbers, more than {_MAX_NUMBERS:,}"
    return ""


def _read(file: Path, container: Container, name: str, module: Module, scales: Scales) -> Update:
    stored = {role: container.tensors[tensor] for role, tensor in module.names.items()}
    alpha = stored.pop("alpha", None)
    with np.errstate(over="ignore", invalid="ignore"):
        tensors = {role: tensor.astype("<f4", copy=False) for role, tensor in stored.items()}
        magnitude = tensors.pop("magnitude", None)
        halves = halves_of(tensors)
    shapes = {role: container.tensors.shape(tensor) for role, tensor in module.names.items()}
    scale, told = _scale(module, pair_shapes(shapes).rank, alpha, scales)
    finite = all(np.isfinite(matrix).all() for half in halves for matrix in half)
    if not finite or not math.isfinite(scale or 0):
        refuse(file, [f"{printable(name)} holds numbers beyond float32"], "export the adapter again")
    if magnitude is not None:
        shape = list(magnitude.shape)
        magnitude = _magnitude(magnitude, module.shape, over_rows=module.dialect.name in ("peft", "diffusers"))
        if magnitude is None:
            fault = f"{printable(name)} has a magnitude of shape {shape}, which does not fit"
            refuse(file, [fault], "export the adapter again")
    return Update(name, name, module.layer, module.shape, halves, scale, told, pair_shapes(shapes).rank, magnitude)


def _scale(module: Module, rank: int | None, alpha: Array | None, scales: Scales) -> tuple[float | None, ScaleFrom]:
    if rank is None:
        return 1.0, "loaders"
    if alpha is not None:
        return float(alpha.item()) / rank, "alpha"
    component = module.layer.targets[0].partition(".")[0]
    return scales(f"{component}.{module.part.path}", rank)


def _magnitude(magnitude: Array, shape: tuple[int, ...], *, over_rows: bool) -> Array | None:
    """The magnitude along its own side. Peft gives that of a convolution a leading one, as older LyCORIS does for columns."""
    rows, columns, *kernel = shape
    ones = [1] * len(kernel)
    count = magnitude.size
    if count == rows and (over_rows or magnitude.ndim == 1 or magnitude.shape[0] == rows):
        return magnitude.reshape(rows, 1, *ones)
    if count == columns and not over_rows and magnitude.shape[0] == 1:
        return magnitude.reshape(1, columns, *ones)
    return None


def _with_kernel(update: Update, families: tuple[str, ...]) -> Update:
    """LoHa and LoKr flatten a convolution's kernel into its columns: undone where the layer is known to be one."""
    if len(update.shape) != 2:
        return update
    if _CONVOLUTION.fullmatch(update.name) and update.shape[1] % 9 == 0:
        side = 3
    elif _POINTWISE.fullmatch(update.name) or (families[:1] == ("sd1",) and _PROJECTION.fullmatch(update.name)):
        side = 1
    else:
        return update
    *others, (*up, down) = update.halves
    if down.shape[1] % side**2:
        (*up, down), others = list(pair_of_halves(update.halves)), []
    down = down.reshape(len(down), -1, side, side)
    magnitude = update.magnitude
    return replace(
        update,
        shape=(update.shape[0], update.shape[1] // side**2, side, side),
        halves=(*others, (*up, down)),
        magnitude=magnitude if magnitude is None else magnitude[..., None, None],
    )
