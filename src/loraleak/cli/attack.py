"""`loraleak attack`: pictures from an adapter alone."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from loraleak.auditing import AttackSettings
from loraleak.checks import refuse
from loraleak.cli.flags import Out

if TYPE_CHECKING:
    from loraleak.types import Images

__all__ = ["Attack"]

_NOTICE = "loraleak attack is for adapters that you own or may test."


@dataclass(frozen=True)
class Attack:
    """Samples every arm for one adapter, without photos, to show what a stranger could draw from this file."""

    file: Positional[Path]
    """The adapter: a .safetensors file, or a PEFT folder."""
    out: Out = Path("attack")
    """Folder for <arm>/<n>.png and sheet.png, one row an arm."""
    overwrite: bool = False
    """Replace the pictures of an earlier run in that folder."""
    json: bool = False
    """Print a list of the output as JSON on stdout."""
    who: bool = False
    """Ask whether the file opens on one person: a hint, for readers who have no photo, such as a platform."""
    null: Path | None = None
    """With --who: a folder of .safetensors files of styles and things on this base, to compare with."""
    embedder: str = "auto"
    """With --who: the embedder. On pocket, `auto` takes `pocket`, and otherwise `faces`."""
    settings: AttackSettings = field(default_factory=AttackSettings)

    def __post_init__(self) -> None:
        if self.null is not None and not self.who:
            refuse("--null is for --who: give both, or neither")

    def run(self) -> int:
        from loraleak.adapters import open_loadable
        from loraleak.outputs import check_folder

        check_folder(self.out, "attack", overwrite=self.overwrite)
        open_loadable(self.file)  # before the heavy imports
        return self._ask() if self.who else self._sample()

    def _ask(self) -> int:
        from loraleak.auditing.who import who

        answer = who(self.file, self.settings, embedder=self.embedder, null=self.null, quiet=False)
        self._write(answer.pictures)
        print(json.dumps(answer.as_json()) if self.json else "\n".join((*answer.says, str(self.out / "sheet.png"))))
        return 0

    def _sample(self) -> int:
        from loraleak.auditing import attack
        from loraleak.untrusted import printable

        made = attack(self.file, self.settings, quiet=False)
        self._write(made.arms)
        facts = {
            "out": str(self.out),
            "adapter_sha256": made.adapter_sha256,
            "base_sha256": made.base_sha256,
            "arms": {name: len(images) for name, images in made.arms.items()},
            "answers": [asdict(answer) for answer in made.answers],
        }
        lines = [f"{self.out / 'sheet.png'}: {', '.join(made.arms)}"]
        lines += [printable(f"{answer.question} {answer.says}", 2000) for answer in made.answers]
        print(json.dumps(facts) if self.json else "\n".join(lines))
        return 0

    def _write(self, pictures: "Mapping[str, Images]") -> None:
        from loraleak.outputs import run_folder, save
        from loraleak.reporting import write_pictures

        def write(place: Path) -> None:
            with run_folder(place, "attack", overwrite=self.overwrite) as partial:
                write_pictures(pictures, partial)

        print(_NOTICE, file=sys.stderr)
        save(self.out, write)
