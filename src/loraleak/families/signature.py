"""Which families a file fits: the names and shapes of its layers decide, and what its header says only breaks ties."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from loraleak.families.family import Family, Row, key_of
from loraleak.families.known import FAMILIES

__all__ = ["Named", "families_of"]

_HEADER_FIELDS = ("modelspec.architecture", "ss_base_model_version", "ss_network_module", "base_model", "model_type")


@dataclass(frozen=True)
class Named:
    """A layer as a file names it."""

    component: str
    """As the file has it; empty where it does not tell."""
    path: str
    """Without component."""
    flat: bool
    """Whether the dots were turned to `_`."""
    shape: tuple[int, ...]
    """Shape of the update: `[d_out, d_in]`, or `[c_out, c_in, *kernel]`; empty where it is not known."""

    @cached_property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """The path as tables are searched for it."""
        return key_of(self.path)

    @property
    def is_text(self) -> bool:
        return self.component.startswith("text_encoder")


def families_of(layers: Iterable[Named], header: Mapping[str, str], hint: str = "") -> tuple[str, ...]:
    """Names of the families that a file fits, the likeliest first; empty where it fits none.

    A family fits if it knows the names of most layers, and no other knows more of them. Of these the ones are kept whose layers have
    as many rows for a column, then those that have them as wide, then those that have so many blocks, then those that write such names,
    then those that the header names, then those that have just as many blocks. `hint` is the one family of a layout that only its
    trainer writes.
    """
    layers = tuple(layers)
    images = [layer for layer in layers if not layer.is_text]
    if not images:
        return _named(_by_encoders(layers), header)
    said = _said(header)
    found = {family.name: _Fit.of(family, images) for family in FAMILIES.values()}
    fits = [family for family in FAMILIES.values() if _may_be(family, found[family.name], said)]
    best = max(found[family.name].known for family in fits)
    if best * 2 < len(images):
        return ()
    fits = [family for family in fits if found[family.name].known == best]
    for fault in (
        lambda fit: fit.other_ratios,
        lambda fit: fit.other_widths,
        lambda fit: fit.other_blocks,
        lambda fit: fit.other_names,
    ):
        fits = _least(fits, found, fault)
    if any(family.name == hint for family in fits):
        return (hint,)
    chosen = _named(fits, header)
    most = max(found[name].covered for name in chosen)
    return tuple(name for name in chosen if found[name].covered == most)


@dataclass(frozen=True)
class _Fit:
    """How well a family fits."""

    known: int
    """Layers whose name it has."""
    own: int
    """Layers that only this variant has."""
    other_ratios: int
    """Layers that have other rows for a column in the family."""
    widths: int
    """Layers that are as wide as the family has them."""
    other_widths: int
    """Layers that the family has in other widths."""
    other_blocks: int
    """Layers in blocks that the family does not have."""
    covered: int
    """Kinds of blocks of which the file has just as many as a model of the family."""
    other_names: int
    """Layers called as the family's trainers do not call them."""

    @classmethod
    def of(cls, family: Family, layers: Sequence[Named]) -> "_Fit":
        pairs = [
            (layer, *found) for layer in layers if (found := family.match(layer.path, *layer.key, flat=layer.flat)) is not None
        ]
        facts = [(layer, family.facts(row), free) for layer, row, free in pairs]
        widths = [layer.shape[1] in fact.widths for layer, fact, _ in facts if fact.widths is not None and layer.shape]
        ends: dict[str, set[int]] = {}
        for _, fact, free in facts:
            if fact.block is not None:
                root, place = fact.block
                ends.setdefault(root, set()).add(free[place])
        return cls(
            known=len(pairs),
            own=sum(fact.is_own for _, fact, _ in facts),
            other_ratios=sum(_other_ratio(row, layer) for layer, row, _ in pairs),
            widths=sum(widths),
            other_widths=len(widths) - sum(widths),
            other_blocks=sum(number >= max(family.blocks[root]) for root, numbers in ends.items() for number in numbers),
            covered=sum(1 + max(numbers) in family.blocks[root] for root, numbers in ends.items()),
            other_names=sum(_foreign(family, row, layer) for layer, row, _ in pairs),
        )


def _other_ratio(row: Row, layer: Named) -> bool:
    ratio = row.layer.ratio
    return ratio is not None and bool(layer.shape) and abs(layer.shape[0] / layer.shape[1] - ratio) > 1e-9


def _foreign(family: Family, row: Row, layer: Named) -> bool:
    if not layer.flat or (row.is_original and row.template == row.layer.targets[0]) or "kohya" not in family.writes:
        return False
    return row.is_original != (family.writes["kohya"] == "original")


def _may_be(family: Family, fit: _Fit, said: set[str]) -> bool:
    """A variant of another family must show itself."""
    if not family.variant or family.name in said:
        return True
    return fit.own > 0 if family.own else fit.widths > 0 and fit.other_widths == 0


def _least(fits: list[Family], found: Mapping[str, _Fit], fault: Callable[[_Fit], int]) -> list[Family]:
    least = min((fault(found[family.name]) for family in fits), default=0)
    return [family for family in fits if fault(found[family.name]) == least]


def _by_encoders(layers: Sequence[Named]) -> list[Family]:
    """Families that have such text encoders; for files that change nothing else."""
    widths: dict[str, set[int]] = {}
    for layer in layers:
        if layer.shape and re.search(r"(q_proj|SelfAttention[._]q)$", layer.path):
            widths.setdefault(layer.component, set()).add(layer.shape[1])
    return [
        family
        for family in FAMILIES.values()
        if widths and all(seen <= family.encoders.get(component, frozenset()) for component, seen in widths.items())
    ]


def _named(fits: list[Family], header: Mapping[str, str]) -> tuple[str, ...]:
    said = _said(header)
    chosen = [family.name for family in fits if family.name in said]
    return tuple(chosen or [family.name for family in fits])


def _said(header: Mapping[str, str]) -> set[str]:
    """Families that the header names."""
    texts = [header[name].lower()[:200] for name in _HEADER_FIELDS if header.get(name)]
    return {
        family.name for family in FAMILIES.values() if family.header and any(re.search(family.header, text) for text in texts)
    }
