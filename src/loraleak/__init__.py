"""See what your LoRA gives away, before you share it. Public names load on first use, so that importing costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loraleak.adapters import load_adapter as load_adapter
    from loraleak.adapters import save_adapter as save_adapter
    from loraleak.auditing.audit_settings import AttackSettings as AttackSettings
    from loraleak.auditing.audit_settings import AuditSettings as AuditSettings
    from loraleak.auditing.run import audit as audit
    from loraleak.auditing.without_photos import attack as attack
    from loraleak.bases import load_base as load_base
    from loraleak.defences.defended_copy import scrub as scrub
    from loraleak.defences.names import parse_defence as parse_defence
    from loraleak.embedders import load_embedder as load_embedder
    from loraleak.finetuning.dreambooth import finetune as finetune
    from loraleak.finetuning.recipe import Recipe as Recipe
    from loraleak.inspection import Inspection as Inspection
    from loraleak.inspection import inspect_adapter as inspect_adapter
    from loraleak.inversion.weight_autoencoder import WeightAutoencoder as WeightAutoencoder
    from loraleak.inversion.weight_autoencoder import load_attack as load_attack
    from loraleak.reporting.report import Report as Report
    from loraleak.types import Adapter as Adapter

_HOMES = {
    "Adapter": "loraleak.types",
    "AttackSettings": "loraleak.auditing.audit_settings",
    "AuditSettings": "loraleak.auditing.audit_settings",
    "Inspection": "loraleak.inspection",
    "Recipe": "loraleak.finetuning.recipe",
    "Report": "loraleak.reporting.report",
    "WeightAutoencoder": "loraleak.inversion.weight_autoencoder",
    "attack": "loraleak.auditing.without_photos",
    "audit": "loraleak.auditing.run",
    "finetune": "loraleak.finetuning.dreambooth",
    "inspect_adapter": "loraleak.inspection",
    "load_adapter": "loraleak.adapters",
    "load_attack": "loraleak.inversion.weight_autoencoder",
    "load_base": "loraleak.bases",
    "load_embedder": "loraleak.embedders",
    "parse_defence": "loraleak.defences.names",
    "save_adapter": "loraleak.adapters",
    "scrub": "loraleak.defences.defended_copy",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loraleak' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
