"""The numbers of a file, one module after the other, so that memory is bounded by the largest module and not by the file."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from loraleak.adapters.container import Container, refuse
from loraleak.adapters.detect import ScaleFrom, Scales
from loraleak.adapters.modules import Contents, Module
from loraleak.adapters.reduce import Array, Halves, halves_of, pair_of_halves
from loraleak.adapters.shapes import pair_shapes
from loraleak.families import Layer
from loraleak.untrusted import printable

__all__ = ["Update", "can_be_cut", "parts", "read_modules"]

_CONVOLUTION = re.compile(r"unet\.(.*\.)?(conv1|conv2|conv|conv_in|conv_out)")
_POINTWISE = re.compile(r"unet\..*\.conv_shortcut")
_PROJECTION = re.compile(r"unet\..*\.proj_(in|out)")


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
