"""`loraleak attack`: pictures from an adapter alone."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from loraleak.auditing import AttackSettings
from loraleak.cli.flags import Out

__all__ = ["Attack"]

_NOTICE = "loraleak attack is for adapters that you own or may test."


@dataclass(frozen=True)
class Attack:
    """Samples every arm for one adapter, without photos, to show what a stranger could draw from this file."""

    file: Positional[Path]
    """The adapter: a .safetensors file, or a PEFT folder."""
    out: Out = Path("attack")
    """Folder for <arm>/<n>.png and sheet.png, one row an arm."""
    json: bool = False
    """Print a list of the output as JSON on stdout."""
    settings: AttackSettings = field(default_factory=AttackSettings)

    def run(self) -> int:
        from loraleak.auditing import attack
        from loraleak.reporting import write_pictures

        made = attack(self.file, self.settings)
        print(_NOTICE, file=sys.stderr)
        write_pictures(made.arms, self.out)
        facts = {
            "out": str(self.out),
            "adapter_sha256": made.adapter_sha256,
            "base_sha256": made.base_sha256,
            "arms": {name: len(images) for name, images in made.arms.items()},
        }
        print(json.dumps(facts) if self.json else f"{self.out / 'sheet.png'}: {', '.join(made.arms)}")
        return 0
