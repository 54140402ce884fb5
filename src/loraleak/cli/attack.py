"""`loraleak attack`: pictures from an adapter alone."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from loraleak.auditing import AttackSettings
from loraleak.cli.flags import Out
from loraleak.errors import UsageError

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
    who: bool = False
    """Ask whether the file opens on one person: a hint, for whoever has no photo, such as a platform."""
    null: Path | None = None
    """With --who: a folder of .safetensors files of styles and things on this base, to compare with."""
    embedder: str = "auto"
    """With --who: the embedder. `auto` takes `pocket` on pocket, else `faces`."""
    settings: AttackSettings = field(default_factory=AttackSettings)

    def __post_init__(self) -> None:
        if self.null is not None and not self.who:
            raise UsageError("--null is for --who: give both, or neither")

    def run(self) -> int:
        return self._ask() if self.who else self._sample()

    def _ask(self) -> int:
        from loraleak.auditing.who import who
        from loraleak.reporting import write_pictures

        print(_NOTICE, file=sys.stderr)
        answer = who(self.file, self.settings, embedder=self.embedder, null=self.null, quiet=False)
        write_pictures(answer.pictures, self.out)
        print(json.dumps(answer.as_json()) if self.json else "\n".join((*answer.says, str(self.out / "sheet.png"))))
        return 0

    def _sample(self) -> int:
        from loraleak.auditing import attack
        from loraleak.reporting import write_pictures

        made = attack(self.file, self.settings, quiet=False)
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
