"""Inspecting one file: its layout, its base, its modules with their spectra, and what its header gives away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loraleak.adapters import Family, Update, header_findings, load_adapter, open_adapter, read_modules, tensor_findings
from loraleak.inspection.spectrum import operations, singular_values
from loraleak.inspection.starts import COMMON_SEEDS, find_start
from loraleak.types import Finding
from loraleak.untrusted import printable

__all__ = ["Gate", "Inspection", "ModuleFacts", "at_or_above", "inspect_adapter"]

Gate = Literal["critical", "high", "medium", "never"]

_MAX_WORK = 2**42
"""Floating-point operations: some minutes, which 8 GiB of plain LoRA stay below, and files made to keep a gate busy do not."""
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
    has_magnitude: bool
    """DoRA."""
    spectrum: tuple[float, ...] | None
    """Singular values of dW, the largest first; of `B A` where alpha is unknown. None where computing them all would take too long."""

    @property
    def norm(self) -> float | None:
        """Frobenius norm of dW."""
        return None if self.spectrum is None else sum(value**2 for value in self.spectrum) ** 0.5


@dataclass(frozen=True)
class Inspection:
    """What a file tells."""

    path: str
    bytes: int
    sha256: str
    format: str
    family: Family
    modules: tuple[ModuleFacts, ...]
    residue: tuple[str, ...]
    """Tensors that were not understood, fit for a terminal."""
    findings: tuple[Finding, ...]
    """The worst first."""
    remarks: tuple[str, ...] = ()
    """What else is to be known of this file, one sentence each."""

    @property
    def ranks(self) -> tuple[int, int]:
        """The smallest and the largest."""
        ranks = [module.rank for module in self.modules]
        return min(ranks), max(ranks)


def inspect_adapter(path: str | Path, *, start: bool = False) -> Inspection:
    """Inspect a LoRA file, or the one in a PEFT or diffusers folder, reading one module at a time.

    With `start` it is also tried to rebuild the random numbers that training began from (see `find_start`), which reads the whole
    adapter and takes about half a minute.
    Raises: AdapterError, in one line, as `load_adapter` does; without `start`, all modules together may be of any size.

    >>> from loraleak.assets import DEMO
    >>> found = inspect_adapter(DEMO / "adapter.safetensors")
    >>> found.family, found.ranks, [finding.field for finding in found.findings]
    ('pocket', (8, 8), [])
    """
    opened = open_adapter(path)
    held = opened.contents
    layouts = {name: module.dialect.name for name, module in held.modules.items()}
    facts, work = [], 0
    for update in read_modules(opened.file, opened.container, held, opened.fields):
        work += operations(update)
        facts.append(_facts(update, layouts[update.source], with_spectrum=work <= _MAX_WORK))
    by_header = header_findings(opened.fields)
    known = {finding.field for finding in by_header}
    findings = [*by_header, *(finding for finding in tensor_findings(held.residue) if finding.field not in known)]
    if start:
        findings += _start_findings(path, opened.fields)
    modules = tuple(sorted(facts, key=lambda module: module.name))
    return Inspection(
        path=printable(str(path), 400),
        bytes=opened.file.stat().st_size,
        sha256=opened.container.sha256,
        format=opened.format,
        family=held.family,
        modules=modules,
        residue=tuple(printable(name, 300) for name in held.residue),
        findings=tuple(sorted(findings, key=lambda finding: -_LEVELS.index(finding.severity))),
        remarks=tuple(_remarks(modules)),
    )


def at_or_above(findings: tuple[Finding, ...], level: Gate) -> bool:
    """Whether a finding is at or above a level, which is what a gate asks."""
    return any(_LEVELS.index(finding.severity) >= _LEVELS.index(level) for finding in findings)


def _remarks(modules: tuple[ModuleFacts, ...]) -> Iterator[str]:
    if all(module.norm == 0 for module in modules):
        if all(module.alpha == 0 for module in modules):
            yield "At the strength that it states, which is 0, this file changes nothing."
        elif not any(module.has_magnitude for module in modules):
            yield "This file changes nothing: it looks untrained."


def _start_findings(path: str | Path, fields: Mapping[str, str]) -> list[Finding]:
    told = fields.get("ss_seed", "")
    own = (int(told),) if told.isascii() and told.isdecimal() and len(told) < 20 else ()
    adapter = load_adapter(path)
    found = find_start(adapter, dict.fromkeys((*own, *COMMON_SEEDS)))
    if found is None:
        return []
    says = (
        f"The random numbers that training began from can be rebuilt: seed {found.seed}, {len(found.down)} of "
        f"{len(adapter.factors)} modules, correlation {found.correlation:.4f}. Attacks that need them become possible."
    )
    return [Finding("weights", "high", says, "seeds")]


def _facts(update: Update, layout: str, *, with_spectrum: bool) -> ModuleFacts:
    factors = update.factors
    rank = update.rank if update.rank is not None else factors.rank
    return ModuleFacts(
        name=printable(update.name, 300),
        layout=layout,
        shape=(factors.up.shape[0], *factors.down.shape[1:]),
        rank=rank,
        alpha=None if factors.scale is None else factors.scale * rank,
        has_magnitude=update.magnitude is not None,
        spectrum=tuple(singular_values(update).tolist()) if with_spectrum else None,
    )
