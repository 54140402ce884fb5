"""Inspecting one file: its layout, its base, its modules with their spectra, and what its header gives away."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

from loraleak.adapters import Update, can_be_cut, open_adapter, parts, read_modules
from loraleak.adapters.opening import Opened
from loraleak.families import titles
from loraleak.findings import Finding, worst_first
from loraleak.inspection.spectrum import operations, singular_values
from loraleak.untrusted import printable

__all__ = ["Gate", "Inspection", "ModuleFacts", "at_or_above", "inspect_adapter", "inspect_opened"]

Gate = Literal["critical", "high", "medium", "never"]

_MAX_WORK = 2**42
"""Floating-point operations: some minutes, which 8 GiB of plain LoRA stay below, and files made to keep a gate busy do not."""
_ORDINARY = (0.05, 50.0)
"""Median norms of a module's update that count as ordinary. Real files and pocket's lie between 0.2 and 5.3."""
_LEVELS: tuple[Gate, ...] = ("medium", "high", "critical", "never")


@dataclass(frozen=True)
class ModuleFacts:
    """One module of an adapter."""

    name: str
    layout: str
    shape: tuple[int, ...]
    """Shape of the update: `[d_out, d_in]`, or `[c_out, c_in, *kernel]`."""
    rank: int
    """Rank as the file has it; LoHa and LoKr modules come to more, which `spectrum` shows."""
    alpha: float | None
    """None where the file does not tell."""
    scale: float | None
    """What loaders multiply `B A` by: alpha / rank, or alpha / sqrt(rank) for rsLoRA; None where the file does not tell."""
    scale_from: str
    """What tells the scale: `alpha`, `configuration` or `header`; `loaders` where nothing does, and all of them take 1."""
    has_magnitude: bool
    """DoRA."""
    spectrum: tuple[float, ...] | None
    """Singular values of dW, the largest first; of `B A` where alpha is unknown. None where computing them all would take too long."""

    @property
    def norm(self) -> float | None:
        """Frobenius norm of dW."""
        return None if self.spectrum is None else math.hypot(*self.spectrum)


@dataclass(frozen=True)
class Inspection:
    """What a file tells."""

    path: str
    bytes: int
    sha256: str
    format: str
    families: tuple[str, ...]
    """Families of bases that the file fits, the likeliest first; empty where it fits none that we know."""
    modules: tuple[ModuleFacts, ...]
    residue: tuple[str, ...]
    """Tensors that were not understood, fit for a terminal."""
    findings: tuple[Finding, ...]
    """The worst first."""
    remarks: tuple[str, ...] = ()
    """What else is to be known of this file, one sentence each."""

    @property
    def family(self) -> str:
        """The likeliest family; empty where the file fits none that we know."""
        return self.families[0] if self.families else ""

    @property
    def ranks(self) -> tuple[int, int] | None:
        """The smallest and the largest; None where there is no module."""
        ranks = [module.rank for module in self.modules]
        return (min(ranks), max(ranks)) if ranks else None


def inspect_adapter(path: str | Path, *, start: bool = False) -> Inspection:
    """Inspect a LoRA file, or the one in a PEFT or diffusers folder, reading one module at a time.

    With `start` it is also tried to rebuild the random numbers that training began from (see `find_start`), which reads the whole
    adapter and takes about half a minute.
    A file that holds no LoRA that we know is inspected all the same: its header is told, and it has no modules.
    Raises: AdapterError, in one line, as `load_adapter` does; without `start`, all modules together may be of any size.

    >>> from loraleak.assets import DEMO
    >>> found = inspect_adapter(DEMO / "adapter.safetensors")
    >>> found.family, found.ranks, [finding.field for finding in found.findings]
    ('pocket', (8, 8), [])
    """
    opened = open_adapter(path)
    found = inspect_opened(opened, path)
    if not start or not found.modules:
        return found
    return replace(found, findings=worst_first([*found.findings, *_start_findings(path, opened.fields)]))


def inspect_opened(opened: Opened, path: str | Path) -> Inspection:
    """Inspect a file that was opened. Raises: AdapterError, as `read_modules` does."""
    held = opened.contents
    layouts = {name: module.dialect.name for name, module in held.modules.items()}
    facts, work = [], 0
    for whole in read_modules(opened.file, opened.container, held, opened.fields):
        for update in parts(whole) if can_be_cut(whole) else (whole,):
            work += operations(update)
            facts.append(_facts(update, layouts[update.source], with_spectrum=work <= _MAX_WORK))
    modules = tuple(sorted(facts, key=lambda module: module.name))
    return Inspection(
        path=printable(str(path), 400),
        bytes=opened.file.stat().st_size,
        sha256=opened.container.sha256,
        format=opened.format,
        families=held.families,
        modules=modules,
        residue=tuple(printable(name, 300) for name in held.residue),
        findings=opened.findings,
        remarks=tuple(_remarks(modules, held.families)),
    )


def at_or_above(findings: tuple[Finding, ...], level: Gate) -> bool:
    """Whether a finding is at or above a level, which is what a gate asks."""
    return any(_LEVELS.index(finding.severity) >= _LEVELS.index(level) for finding in findings)


def _remarks(modules: tuple[ModuleFacts, ...], families: tuple[str, ...]) -> Iterator[str]:
    if not modules:
        yield "None of its tensors belongs to a LoRA in a layout that we know; only its header was read."
    elif len(families) > 1:
        yield f"Its layers fit several families: {titles(families)}."
    if modules and all(module.norm == 0 for module in modules):
        if all(module.alpha == 0 for module in modules):
            yield (
                "At the strength that it states, which is 0, this file changes nothing. Whoever has the file can run it at another "
                "strength."
            )
        elif not any(module.has_magnitude for module in modules):
            yield "This file changes nothing: it looks untrained."
    yield from _strength(modules)


def _strength(modules: tuple[ModuleFacts, ...]) -> Iterator[str]:
    stated = [module for module in modules if module.scale is not None]
    negative = sum(module.scale < 0 for module in stated if module.scale is not None)
    if negative:
        yield (
            f"{negative} of {len(modules)} modules state a negative strength, which trainers do not write. Whoever has the file can "
            "turn it round."
        )
    norms = [module.norm for module in stated if module.norm]
    if norms and not _ORDINARY[0] <= median(norms) <= _ORDINARY[1]:
        yield (
            f"The strength that this file states is not ordinary: the median norm of a module's update is {median(norms):.2g}, and "
            f"{_ORDINARY[0]:g} to {_ORDINARY[1]:g} counts as ordinary. Whoever has the file can run it at any other strength."
        )


def _start_findings(path: str | Path, fields: Mapping[str, str]) -> list[Finding]:
    from loraleak.adapters import load_adapter
    from loraleak.inspection.starts import COMMON_SEEDS, find_start

    told = fields.get("ss_seed", "")
    own = (int(told),) if told.isascii() and told.isdecimal() and len(told) < 20 else ()
    adapter = load_adapter(path)
    found = find_start(adapter, dict.fromkeys((*own, *COMMON_SEEDS)))
    if found is None:
        return []
    says = (
        f"The random numbers that training began from can be rebuilt: seed {found.seed}, {len(found.down)} of "
        f"{len(adapter.factors)} modules, correlation {found.correlation:.4f}. A reader of A and B, such as the published attack, "
        "needs this start. With the built-in base a linear one found 40 of 69 people from one start, and 1 of 69 otherwise. But a "
        "stranger can do without: our reader of B A found 39 where each file had its own start. A start in common did not help it to "
        "name more people, and helped it a little in pictures."
    )
    return [Finding("weights", "medium", says, "seeds")]


def _facts(update: Update, layout: str, *, with_spectrum: bool) -> ModuleFacts:
    rank = update.rank if update.rank is not None else min(update.shape[0], math.prod(update.shape[1:]))
    return ModuleFacts(
        name=printable(update.name, 300),
        layout=layout,
        shape=update.shape,
        rank=rank,
        alpha=None if update.scale is None else update.scale * rank,
        scale=update.scale,
        scale_from=update.scale_from,
        has_magnitude=update.magnitude is not None,
        spectrum=tuple(singular_values(update).tolist()) if with_spectrum else None,
    )
