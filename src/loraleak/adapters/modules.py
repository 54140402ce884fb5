"""Tensors to modules: group them by name, check their shapes, then read one module after the other."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from loraleak.adapters import layers
from loraleak.adapters.container import Container, refuse
from loraleak.adapters.detect import Dialect, Scales, classify
from loraleak.adapters.family import Family, family_of_shapes
from loraleak.adapters.layouts import diffusers, peft
from loraleak.adapters.layouts.cloneofsimo import CLONEOFSIMO
from loraleak.adapters.layouts.comfyui import COMFYUI
from loraleak.adapters.layouts.kohya import KOHYA
from loraleak.adapters.layouts.lycoris import LYCORIS
from loraleak.adapters.reduce import Half, Pair, TensorRole, pair_shapes, reduce_to_pair
from loraleak.types import Factors
from loraleak.untrusted import printable

__all__ = ["DIALECTS", "Contents", "Module", "Update", "contents", "read_modules"]

DIALECTS: tuple[Dialect, ...] = (
    peft.PEFT,
    KOHYA,
    LYCORIS,
    COMFYUI,
    CLONEOFSIMO,
    diffusers.OLD,
    diffusers.MIDDLE,
    diffusers.NEW,
)
"""The layouts that we read, in the order to test: a new one is one more file and one more name here."""

_MAX_RANK = 1024
_MAX_NUMBERS = 2**27
_MAX_WIDTH = 2**17
_CONVOLUTION = re.compile(r"unet\.(.*\.)?(conv1|conv2|conv|conv_in|conv_out)")
_POINTWISE = re.compile(r"unet\..*\.conv_shortcut")
_PROJECTION = re.compile(r"unet\..*\.proj_(in|out)")


@dataclass
class Module:
    """The tensors of one module, as they are found."""

    dialect: Dialect
    names: dict[TensorRole, str] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    """Shape of the update: `[d_out, d_in]`, or `[c_out, c_in, *kernel]`."""
    size: int = 0
    """Numbers in the pair of factors that the module comes to."""


@dataclass(frozen=True)
class Contents:
    """What a file holds, known before a tensor is read."""

    modules: Mapping[str, Module]
    """Modules by name, sorted."""
    residue: tuple[str, ...]
    """Tensors that were not understood."""
    family: Family


@dataclass(frozen=True)
class Update:
    """One layer of diffusers' model."""

    name: str
    source: str
    """The module of the file that it is, or is cut from."""
    factors: Factors
    rank: int | None
    """The file's own, which LoHa and LoKr exceed; None where both halves of LoKr are whole."""
    magnitude: Tensor | None
    """Magnitudes of DoRA, `[d_out, 1, *ones]`, or `[1, d_in, *ones]` where it was taken over the other side."""
    halves: tuple[Half, ...] = ()
    """LoKr's two: the update is `scale` times their Kronecker product; empty for others, and for a layer that is cut from a module."""


def contents(file: Path, container: Container) -> Contents:
    """Group the tensors of a file by module, and check their shapes.

    Raises: AdapterError, in one line, if there is no LoRA module, or modules lack factors, or have factors that make no layer.
    """
    found, residue, faults = _group(container)
    updates = {name: module for name, module in found.items() if module.names.keys() - {"alpha", "magnitude"}}
    residue += [tensor for name, module in found.items() if name not in updates for tensor in module.names.values()]
    if not updates:
        _refuse_unread(file, container)
    updates = dict(sorted(_renamed(container.metadata, updates, faults).items()))
    faults += [fault for name, module in updates.items() if (fault := _fault(name, module, container))]
    if faults:
        refuse(file, faults, "export the adapter again")
    family = family_of_shapes({name: module.shape for name, module in updates.items()})
    return Contents(updates, tuple(sorted(residue)), family)


def read_modules(file: Path, container: Container, held: Contents, fields: Mapping[str, str]) -> Iterator[Update]:
    """The modules one after the other, in float32; a fused layer of the original code comes as the layers of diffusers' model.

    Raises: AdapterError, in one line, if a module holds NaN, infinity or numbers beyond float32, or if two modules are the same layer.
    """
    scales = {module.dialect.name: module.dialect.scales(fields) for module in held.modules.values()}
    seen: set[str] = set()
    for name, module in held.modules.items():
        stored = {role: container.tensors[tensor] for role, tensor in module.names.items()}
        tensors = {role: tensor.double() if role == "alpha" else tensor.float() for role, tensor in stored.items()}
        pair = reduce_to_pair(tensors)
        factors = _factors(name, pair, tensors.get("alpha"), scales[module.dialect.name])
        whole = Update(name, name, factors, pair.rank, tensors.get("magnitude"), pair.halves)
        if not all(t.isfinite().all() for t in (whole.factors.down, whole.factors.up)) or not math.isfinite(
            whole.factors.scale or 0
        ):
            refuse(file, [f"{printable(name)} holds numbers beyond float32"], "export the adapter again")
        if whole.magnitude is not None:
            magnitude = _magnitude(whole.magnitude, whole.factors, over_rows=module.dialect.name in ("peft", "diffusers"))
            if magnitude is None:
                shape = list(whole.magnitude.shape)
                refuse(
                    file,
                    [f"{printable(name)} has a magnitude of shape {shape}, which does not fit"],
                    "export the adapter again",
                )
            whole = replace(whole, magnitude=magnitude)
        if any(role.startswith(("hada_", "lokr_")) for role in tensors):
            whole = _with_kernel(whole, held.family)
        for update in _placed(whole):
            if update.name in seen:
                refuse(file, [f"{printable(update.name)} stands there twice, under two names"], "export the adapter again")
            seen.add(update.name)
            yield update


def _group(container: Container) -> tuple[dict[str, Module], list[str], list[str]]:
    modules: dict[str, Module] = {}
    residue: list[str] = []
    faults: list[str] = []
    for tensor in container.tensors:
        known = classify(tensor, DIALECTS)
        if known is None:
            residue.append(tensor)
            continue
        dialect, part = known
        module = modules.setdefault(part.module, Module(dialect))
        if part.role in module.names:
            faults.append(f"{printable(tensor)} and {printable(module.names[part.role])} are the same factor")
            continue
        only_alpha = module.names.keys() <= {"alpha", "magnitude"}
        module.names[part.role] = tensor
        if part.role not in ("alpha", "magnitude"):
            module.dialect = dialect if only_alpha else max(module.dialect, dialect, key=DIALECTS.index)
    return modules, residue, faults


def _renamed(fields: Mapping[str, str], modules: Mapping[str, Module], faults: list[str]) -> dict[str, Module]:
    names: dict[str, str] = {}
    for dialect in DIALECTS:
        names |= dialect.renames(fields, [name for name, module in modules.items() if module.dialect is dialect])
    if any(name.startswith(("transformer.single_", "transformer.double_blocks.")) for name in modules):
        # T5 is the third text encoder of Stable Diffusion 3, and the second of Flux.
        t5 = "text_encoder_3."
        names |= {name: f"text_encoder_2.{name.removeprefix(t5)}" for name in modules if name.startswith(t5)}
    renamed: dict[str, Module] = {}
    for name, module in modules.items():
        new = names.get(name, name)
        if new in renamed or (new != name and new in modules):
            faults.append(f"{printable(new)} stands there twice, under two names")
        renamed[new] = module
    return renamed


def _fault(name: str, module: Module, container: Container) -> str:
    """What is wrong with a module's shapes; sets its shape and size."""
    shapes = {role: container.tensors.shape(tensor) for role, tensor in module.names.items()}
    for role, shape in shapes.items():
        if role == "alpha" and math.prod(shape) != 1:
            return f"{printable(name)} has an alpha of {math.prod(shape)} numbers"
    try:
        pair = pair_shapes(shapes)
    except ValueError as error:
        return f"{printable(name)} {error}"
    if pair.rank is not None and pair.rank > _MAX_RANK:
        return f"{printable(name)} has rank {pair.rank}, more than {_MAX_RANK}"
    module.shape = (pair.up[0], *pair.down[1:])
    module.size = math.prod(pair.down) + math.prod(pair.up)
    if max(module.shape) > _MAX_WIDTH:
        return f"{printable(name)} is {max(module.shape)} wide, more than {_MAX_WIDTH}"
    if module.size > _MAX_NUMBERS:
        return f"{printable(name)} comes to {module.size:,} numbers, more than {_MAX_NUMBERS:,}"
    layer = layers.place(name)
    if pair.up[0] % sum(layer.shares):
        return f"{printable(name)} has {pair.up[0]} rows, which cannot be cut in {sum(layer.shares)}"
    return ""


def _factors(name: str, pair: Pair, alpha: Tensor | None, scales: Scales) -> Factors:
    if pair.rank is None:
        scale: float | None = 1.0
    elif alpha is None:
        scale = scales(name, pair.rank)
    else:
        scale = alpha.item() / pair.rank
    return Factors(down=pair.down.contiguous(), up=pair.up.contiguous(), scale=scale)


def _magnitude(magnitude: Tensor, factors: Factors, *, over_rows: bool) -> Tensor | None:
    """The magnitude along its own side. Peft gives that of a convolution a leading one, as older LyCORIS does for columns."""
    rows, columns, *kernel = factors.up.shape[0], *factors.down.shape[1:]
    ones = [1] * len(kernel)
    count = magnitude.numel()
    if count == rows and (over_rows or magnitude.ndim == 1 or magnitude.shape[0] == rows):
        return magnitude.reshape(rows, 1, *ones)
    if count == columns and not over_rows and magnitude.shape[0] == 1:
        return magnitude.reshape(1, columns, *ones)
    return None


def _with_kernel(update: Update, family: Family) -> Update:
    """LoHa and LoKr flatten a convolution's kernel into its columns: undone where the layer is known to be one."""
    down, up = update.factors.down, update.factors.up
    if down.ndim != 2:
        return update
    if _CONVOLUTION.fullmatch(update.name) and down.shape[1] % 9 == 0:
        side = 3
    elif _POINTWISE.fullmatch(update.name) or (family == "sd1" and _PROJECTION.fullmatch(update.name)):
        side = 1
    else:
        return update
    magnitude = update.magnitude
    return replace(
        update,
        factors=Factors(down.reshape(down.shape[0], -1, side, side), up[..., None, None], update.factors.scale),
        magnitude=magnitude if magnitude is None else magnitude[..., None, None],
    )


def _placed(update: Update) -> Iterator[Update]:
    layer = layers.place(update.name)
    up, magnitude = update.factors.up, update.magnitude
    by_rows = magnitude is not None and magnitude.shape[0] == up.shape[0]
    if layer.swapped and up.shape[0] == 2 * update.factors.down.shape[1]:
        half = up.shape[0] // 2
        up = up.roll(half, 0)
        magnitude = magnitude.roll(half, 0) if magnitude is not None and by_rows else magnitude
    rows = up.shape[0] // sum(layer.shares)
    sizes = [rows * share for share in layer.shares]
    parts = up.split(sizes)
    halves = update.halves if len(parts) == 1 else ()
    magnitudes = magnitude.split(sizes) if magnitude is not None and by_rows else [magnitude] * len(parts)
    for target, part, its in zip(layer.targets, parts, magnitudes, strict=True):
        factors = Factors(update.factors.down, part.contiguous(), update.factors.scale)
        yield replace(update, name=target, factors=factors, magnitude=its, halves=halves)


def _refuse_unread(file: Path, container: Container) -> None:
    example = printable(next(iter(container.tensors), "nothing"))
    refuse(
        file,
        [f"none of its {len(container.tensors)} tensors belongs to a LoRA that we know (the first: {example})"],
        "give a LoRA in PEFT, diffusers, kohya, LyCORIS, ComfyUI or cloneofsimo layout",
    )
