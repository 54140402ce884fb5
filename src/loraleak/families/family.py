"""A family of bases as data: its layers under every name that they have, and what its files are told by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, product
from typing import Literal

__all__ = ["Family", "Layer", "Layout", "NamedLayer", "Row", "key_of", "same", "within"]

Layout = Literal["kohya", "comfyui"]
"""A layout whose names depend on the family; those of `diffusers` and `peft` are the names of diffusers' model for all."""


@dataclass(frozen=True)
class Layer:
    """One layer of a model's original code: the layers of diffusers' model that share its rows."""

    targets: tuple[str, ...]
    """Dotted paths in diffusers' model. `#` stands for a number."""
    shares: tuple[int, ...] = (1,)
    """How many parts of the rows each target has."""
    swapped: bool = False
    """Shift and scale stand in the other order where the layer gives just these two, that is, two rows for a column."""
    ratio: float | None = None
    """Rows for a column, where this tells the family from others; None where it does not."""

    @property
    def is_plain(self) -> bool:
        """Whether the layer is the same one in diffusers' model."""
        return len(self.targets) == 1 and not self.swapped


@dataclass(frozen=True)
class NamedLayer:
    """A layer that a name was found to mean, with the numbers of its blocks filled in."""

    original: str
    """Dotted path in the original code."""
    layer: Layer

    @property
    def name(self) -> str:
        """Path of the whole layer without component: that in diffusers' model, if the layer is one there."""
        return self.layer.targets[0] if self.layer.is_plain else self.original


@dataclass(frozen=True)
class Row:
    """One name of a layer in a family's table."""

    template: str
    layer: Layer
    is_original: bool
    """Whether the name is that of the original code, and not that of diffusers' model alone."""
    slots: tuple[int | None, ...]
    """Numbers in the name; None for those that may be any."""

    def free(self, numbers: tuple[int, ...]) -> tuple[int, ...] | None:
        """The numbers that stand for `#`; None where a number that the name fixes is another."""
        if len(numbers) != len(self.slots) or any(s is not None and s != n for s, n in zip(self.slots, numbers, strict=True)):
            return None
        return tuple(number for slot, number in zip(self.slots, numbers, strict=True) if slot is None)


@dataclass(frozen=True)
class Facts:
    """What a family knows of a layer."""

    widths: frozenset[int] | None
    """Columns that the layer may have; None where the family does not tell."""
    block: tuple[str, int] | None
    """The kind of block that the layer is in, and the place of its number among the free ones; None outside of them."""
    is_own: bool
    """Whether only this variant has the layer."""


@dataclass(frozen=True)
class Family:
    """One family of bases. A new family is one more of these."""

    name: str
    """As JSON and programs have it: `sd1`, `flux2`."""
    title: str
    """As people call it."""
    layers: Mapping[str, Layer | str]
    """Layers by dotted path in the original code, `#` for a number; a text is the path in diffusers' model."""
    component: str = "transformer"
    """What diffusers' pipelines call the model."""
    widths: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Columns that layers have, by a regular expression over their paths in diffusers' model."""
    blocks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """How many blocks models of the family have, by a regular expression over the path before their number in diffusers' model."""
    encoders: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Widths of the text encoders by component."""
    header: str = ""
    """Regular expression over what headers call the family, lower-cased."""
    pipelines: tuple[str, ...] = ()
    """Classes of diffusers' pipelines that run the family."""
    writes: Mapping[Layout, Literal["original", "diffusers"]] = field(default_factory=dict)
    """Whose names of layers loaders know in a layout; a layout that no loader knows for the family is missing."""
    in_diffusers: bool = True
    """Whether diffusers loads adapters of the family."""
    variant: bool = False
    """Whether another family has all of these layers too: then only widths, an own layer or the header tell this one."""
    own: str = ""
    """Regular expression over paths that only this variant has."""
    t5: str = ""
    """Component of T5, where the family has it."""

    def find(self, path: str, *, flat: bool) -> NamedLayer | None:
        """The layer of this name, dotted or flattened (dots turned to `_`), without component; None where there is none."""
        found = self.match(path, *key_of(path), flat=flat)
        if found is None:
            return None
        row, free = found
        return NamedLayer(_filled(row.template, free), _layer(row.layer, free))

    def match(self, path: str, key: str, numbers: tuple[int, ...], *, flat: bool) -> tuple[Row, tuple[int, ...]] | None:
        """The row of this name and its free numbers, by what `key_of` gives for the name."""
        if key.partition("_")[0] not in self._heads:
            return None
        for row in self._rows.get(key, ()):
            free = row.free(numbers)
            if free is not None and (flat or _filled(row.template, free) == path):
                return row, free
        return None

    def whole(self, path: str) -> NamedLayer | None:
        """The layer of the original code that a layer of diffusers' model is, or is a part of."""
        key, numbers = key_of(path)
        for row, target, slots in self._targets.get(key, ()):
            free = replace(row, slots=slots).free(numbers)
            if free is not None and _filled(target, free) == path:
                return NamedLayer(_filled(row.template, free), _layer(row.layer, free))
        return None

    def facts(self, row: Row) -> Facts:
        """What the family knows of a layer in its table."""
        target = row.layer.targets[0]
        if target not in self._facts:
            numbered = target.replace("#", "0")
            blocks = ((root, re.match(rf"{root}\.#\.", target)) for root in self.blocks)
            self._facts[target] = Facts(
                widths=next((widths for pattern, widths in self.widths.items() if re.fullmatch(pattern, numbered)), None),
                block=next(((root, match[0].count("#") - 1) for root, match in blocks if match), None),
                is_own=bool(self.own and re.fullmatch(self.own, numbered)),
            )
        return self._facts[target]

    @cached_property
    def _heads(self) -> frozenset[str]:
        """First words of all names: a family that has none of a file's is not looked at further."""
        targets = (layer.targets if isinstance(layer, Layer) else (layer,) for layer in self.layers.values())
        return frozenset(key_of(path.partition(".")[0])[0].partition("_")[0] for path in chain(self.layers, *targets))

    @cached_property
    def _rows(self) -> Mapping[str, list[Row]]:
        """Rows of the table by what `key_of` gives for them; the original code's names first."""
        rows: dict[str, list[Row]] = {}
        for row in self._originals:
            rows.setdefault(key_of(row.template)[0], []).append(row)
        seen = {row.template for row in self._originals}
        for row in self._originals:
            for target in row.layer.targets:
                if target not in seen:
                    seen.add(target)
                    ratio = row.layer.ratio if row.layer.is_plain else None
                    own = Row(target, Layer((target,), ratio=ratio), False, _slots(target))
                    rows.setdefault(key_of(target)[0], []).append(own)
        return rows

    @cached_property
    def _targets(self) -> Mapping[str, list[tuple[Row, str, tuple[int | None, ...]]]]:
        rows: dict[str, list[tuple[Row, str, tuple[int | None, ...]]]] = {}
        for row in self._originals:
            for target in row.layer.targets:
                rows.setdefault(key_of(target)[0], []).append((row, target, _slots(target)))
        return rows

    @cached_property
    def _originals(self) -> tuple[Row, ...]:
        layers = ((path, layer if isinstance(layer, Layer) else Layer((layer,))) for path, layer in self.layers.items())
        return tuple(Row(path, layer, True, _slots(path)) for path, layer in layers)

    @cached_property
    def _facts(self) -> dict[str, Facts]:
        return {}


def key_of(path: str) -> tuple[str, tuple[int, ...]]:
    """A name, flattened and without its numbers, and the numbers."""
    steps = path.replace(".", "_").split("_")
    numbers = tuple(int(step) for step in steps if step.isdecimal())
    return "_".join("#" if step.isdecimal() else step for step in steps), numbers


def same(*paths: str) -> dict[str, Layer | str]:
    """A table of layers that the original code and diffusers call alike; `{a,b}` stands for both."""
    return {path: path for text in paths for path in _alternatives(text)}


def within(original: str, diffusers: str, layers: Mapping[str, Layer | str]) -> dict[str, Layer | str]:
    """A table of the layers within a block, by the block's paths in the original code and in diffusers' model.

    `{a,b}` stands for both, on both sides.
    """
    found: dict[str, Layer | str] = {}
    for path, layer in layers.items():
        if isinstance(layer, str):
            pairs = zip(_alternatives(path), _alternatives(layer), strict=True)
            found |= {f"{original}.{old}": f"{diffusers}.{new}" for old, new in pairs}
        else:
            targets = tuple(f"{diffusers}.{target}" for target in layer.targets)
            found[f"{original}.{path}"] = Layer(targets, layer.shares, layer.swapped, layer.ratio)
    return found


def _alternatives(text: str) -> list[str]:
    parts = re.split(r"\{([^}]*)\}", text)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _slots(template: str) -> tuple[int | None, ...]:
    steps = template.replace(".", "_").split("_")
    return tuple(None if step == "#" else int(step) for step in steps if step == "#" or step.isdecimal())


def _layer(layer: Layer, numbers: tuple[int, ...]) -> Layer:
    return replace(layer, targets=tuple(_filled(target, numbers) for target in layer.targets))


def _filled(template: str, numbers: tuple[int, ...]) -> str:
    first, *rest = template.split("#")
    return first + "".join(f"{number}{text}" for number, text in zip(numbers, rest, strict=True))
