"""Which families of bases an adapter fits, as the file told, or from its modules' names and widths."""

from loraleak.adapters.detect import split_component
from loraleak.families import Named, families_of
from loraleak.types import Adapter

__all__ = ["families_of_adapter"]


def families_of_adapter(adapter: Adapter) -> tuple[str, ...]:
    """Names of the families, the likeliest first; empty where the adapter fits none that we know."""
    if adapter.families:
        return adapter.families
    named = [
        Named(*split_component(name), flat=False, shape=(f.up.shape[0], *f.down.shape[1:]))
        for name, f in adapter.factors.items()
    ]
    return families_of(named, adapter.metadata)
