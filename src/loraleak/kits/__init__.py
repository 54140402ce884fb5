"""Kits: all that an adversary has learned for one base, in one file. In: a file, a hub id, or a base. Out: a kit, checked.

Reading order: `contents` (what a kit holds), `parsing` (JSON of strangers), `kit_file` (reading and writing), `installed` (what is on
this machine), `places` (where kits are found), `showing` (its card in words). Building one is `loraleak.kit_building`. Names load on
first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.kits.contents import Calibration as Calibration
    from loraleak.kits.contents import Card as Card
    from loraleak.kits.contents import Controls as Controls
    from loraleak.kits.contents import Kit as Kit
    from loraleak.kits.contents import People as People
    from loraleak.kits.contents import Quality as Quality
    from loraleak.kits.contents import Row as Row
    from loraleak.kits.contents import SamplingSetup as SamplingSetup
    from loraleak.kits.contents import Table as Table
    from loraleak.kits.installed import bases_with_kits as bases_with_kits
    from loraleak.kits.kit_file import read_kit as read_kit
    from loraleak.kits.kit_file import save_kit as save_kit
    from loraleak.kits.places import attack_for as attack_for
    from loraleak.kits.places import controls_for as controls_for
    from loraleak.kits.places import install as install
    from loraleak.kits.places import kit_for as kit_for
    from loraleak.kits.places import located as located
    from loraleak.kits.showing import as_json as as_json
    from loraleak.kits.showing import as_lines as as_lines
    from loraleak.kits.showing import quality_lines as quality_lines

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "contents": ["Calibration", "Card", "Controls", "Kit", "People", "Quality", "Row", "SamplingSetup", "Table"],
        "installed": ["bases_with_kits"],
        "kit_file": ["read_kit", "save_kit"],
        "places": ["attack_for", "controls_for", "install", "kit_for", "located"],
        "showing": ["as_json", "as_lines", "quality_lines"],
    },
)
