"""An inspection for a terminal. Text from the file is never markup: all of it goes through `Text`, and was escaped before."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from loraleak.families import titles
from loraleak.findings import Severity
from loraleak.inspection.groups import TITLES
from loraleak.inspection.inspect import Inspection, ModuleFacts
from loraleak.silence import HEADER_ONLY

__all__ = ["as_text"]

_MAX_MODULES = 12
_MAX_VALUES = 4
_MAX_RESIDUE = 12
_STYLES: dict[Severity, str] = {"critical": "bold red", "high": "red", "medium": "yellow"}


def as_text(inspection: Inspection) -> RenderableType:
    """Facts, the strongest modules, and the findings by what they give away."""
    return Lines(*_facts(inspection), *_modules(inspection), *_residue(inspection), *_findings(inspection))


def _facts(inspection: Inspection) -> Iterator[Text]:
    modules = inspection.modules
    components = Counter(module.name.partition(".")[0] for module in modules)
    alphas = sorted({module.alpha for module in modules if module.alpha is not None})
    unknown = any(module.alpha is None for module in modules)
    dora = sum(module.has_magnitude for module in modules)
    facts = {
        "file": inspection.path,
        "bytes": f"{inspection.bytes:,}",
        "sha256": inspection.sha256,
        "format": inspection.format or "no LoRA that we know",
        "base": titles(inspection.families),
    }
    if inspection.ranks is not None:
        low, high = inspection.ranks
        facts["modules"] = f"{len(modules)} ({', '.join(f'{count} in {name}' for name, count in components.items())})"
        facts["rank"] = f"{low}" if low == high else f"{low} to {high}"
        facts["alpha"] = _span(alphas, unknown=unknown)
        facts["scale"] = _scales(modules)
    if dora:
        facts["DoRA"] = f"{dora} modules have magnitudes"
    for name, value in facts.items():
        yield Text(f"{name:<9}{value}")
    for remark in inspection.remarks:
        yield Text(f"note     {remark}", style="bold")


def _span(alphas: list[float], *, unknown: bool) -> str:
    known = "" if not alphas else f"{alphas[0]:g}" if len(alphas) == 1 else f"{alphas[0]:g} to {alphas[-1]:g}"
    return " and ".join(part for part in (known, "unknown, so the strength of the update is too" if unknown else "") if part)


def _scales(modules: tuple[ModuleFacts, ...]) -> str:
    scales = sorted({module.scale for module in modules if module.scale is not None})
    told = [word for key, word in _TOLD.items() if any(module.scale_from == key for module in modules)]
    return f"{_span(scales, unknown=not scales)}, {' and '.join(told)}"


_TOLD = {
    "alpha": "from its alphas",
    "configuration": "from its adapter_config.json",
    "header": "from its header",
    "loaders": "as all loaders take it where a file tells none",
}


def _modules(inspection: Inspection) -> Iterator[Text]:
    if not inspection.modules:
        return
    yield Text("\nstrongest modules", style="bold")
    yield Text(f"  {'norm':>9}  {'rank':>4}  {'shape':<19}  {'singular values of dW':<34}  module")
    strongest = sorted(inspection.modules, key=lambda module: -(module.norm or 0.0))
    for module in strongest[:_MAX_MODULES]:
        shape = " x ".join(map(str, module.shape))
        norm = "?" if module.norm is None else f"{module.norm:.3g}"
        yield Text(f"  {norm:>9}  {module.rank:>4}  {shape:<19}  {_values(module):<34}  {module.name}")
    if len(strongest) > _MAX_MODULES:
        yield Text(f"  and {len(strongest) - _MAX_MODULES} more (--json lists all)")


def _values(module: ModuleFacts) -> str:
    if module.spectrum is None:
        return "too wide to compute"
    more = " ..." if len(module.spectrum) > _MAX_VALUES else ""
    return " ".join(f"{value:.3g}" for value in module.spectrum[:_MAX_VALUES]) + more


def _residue(inspection: Inspection) -> Iterator[Text]:
    if inspection.residue:
        shown = ", ".join(inspection.residue[:_MAX_RESIDUE])
        more = f" and {len(inspection.residue) - _MAX_RESIDUE} more" if len(inspection.residue) > _MAX_RESIDUE else ""
        yield Text(f"\nnot understood: {shown}{more}")


def _findings(inspection: Inspection) -> Iterator[Text]:
    if not inspection.findings:
        yield Text("\nits header gives nothing away")
        yield Text(HEADER_ONLY)
    for group, title in TITLES.items():
        mine = [finding for finding in inspection.findings if finding.group == group]
        if mine:
            yield Text(f"\n{title}", style="bold")
        for finding in mine:
            yield Text.assemble((f"  {finding.severity:<9}", _STYLES[finding.severity]), f"{finding.field}: {finding.says}")
