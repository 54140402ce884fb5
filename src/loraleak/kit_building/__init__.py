"""The making of kits. In: a folder of people, a base. Out: a kit.

Reading order: `kit_settings` (the options), `forecast` (what it takes), `build` (the stages in their order), `controls` (control
adapters and other people as embeddings), `quality` (what audits with it find, on people kept apart), `verify` (the same again on
people that somebody gives), `readers` (readers of weights, added to a finished kit). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.kit_building.build import Machines as Machines
    from loraleak.kit_building.build import build_kit as build_kit
    from loraleak.kit_building.build import plan_kit as plan_kit
    from loraleak.kit_building.controls import control_embeddings as control_embeddings
    from loraleak.kit_building.forecast import forecast_kit as forecast_kit
    from loraleak.kit_building.kit_settings import KitSettings as KitSettings
    from loraleak.kit_building.quality import measured as measured
    from loraleak.kit_building.readers import with_readers as with_readers
    from loraleak.kit_building.verify import verify_kit as verify_kit

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "build": ["Machines", "build_kit", "plan_kit"],
        "controls": ["control_embeddings"],
        "forecast": ["forecast_kit"],
        "kit_settings": ["KitSettings"],
        "quality": ["measured"],
        "readers": ["with_readers"],
        "verify": ["verify_kit"],
    },
)
