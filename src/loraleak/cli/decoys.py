"""`loraleak decoys`: people who do not exist, to train beside the owner's."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from loraleak.base_settings import BaseSettings
from loraleak.checks import out_of_bounds, refuse
from loraleak.errors import UsageError

__all__ = ["Decoys"]


@dataclass(frozen=True)
class Decoys:
    """Draws people who do not exist, several pictures of each, for `finetune --defence decoys:people=OUT`.

    The base draws them from random descriptions, which nobody can guess. Use a folder for one adapter only. Photos of real people hide
    more: docs/decoys.md tells how well drawn people can be told from photos.
    """

    out: Positional[Path]
    """Folder to write into: <person>/<image>.png, and sheet.png with everybody."""
    count: int = 12
    """Number of people. The defence draws its decoys from them."""
    images: int = 10
    """Pictures of each person. Give at least as many as you have photos."""
    descriptions: Path | None = None
    """Text file with one person a line, such as: a tall woman in her thirties with red hair. The default is random descriptions."""
    steps: int = 20
    """Sampler steps."""
    guidance_scale: float = 3.0
    """Scale of classifier-free guidance. The higher, the more a person's pictures are alike."""
    overwrite: bool = False
    """Replace the people of an earlier run in that folder."""
    json: bool = False
    """Print the folders as JSON on stdout."""
    base: BaseSettings = field(default_factory=BaseSettings)

    def __post_init__(self) -> None:
        bounds = {"count": (1, 10_000), "images": (1, 1000), "steps": (2, 1000), "guidance_scale": (0, 100)}
        refuse(*out_of_bounds(self, bounds))
        if self.descriptions is not None and self.base.base == "pocket":
            refuse("pocket knows few words: leave --descriptions out, or give another --base")

    def run(self) -> int:
        from loraleak.outputs import check_folder, run_folder, save

        check_folder(self.out, "decoys", overwrite=self.overwrite)
        given = self._given()
        from loraleak.bases import load_base
        from loraleak.finetuning import secret_seed
        from loraleak.people import described_avatars, described_people, drawn_by, estimate_of_drawing
        from loraleak.progress import announce, track
        from loraleak.reporting import write_pictures

        seed = secret_seed()
        if self.base.base == "pocket":
            people = described_avatars(self.count, self.images, seed=seed)
        else:
            people = described_people(self.count, self.images, seed=seed, given=given)
        base = load_base(**self.base.choices)
        announce(estimate_of_drawing(base, people, steps=self.steps).says)
        drawn = drawn_by(base, people, steps=self.steps, guidance_scale=self.guidance_scale, seed=seed)
        made = dict(track(drawn, "drawing people", len(people)))

        def write(place: Path) -> None:
            with run_folder(place, "decoys", overwrite=self.overwrite) as partial:
                write_pictures(made, partial)

        save(self.out, write)
        if self.json:
            print(json.dumps([str(self.out / name) for name in made]))
        else:
            print(f"{self.out}: {len(made)} people with {self.images} pictures each")
            print(f"Look at {self.out / 'sheet.png'}. Delete the folder of anybody whose pictures do not show one person.")
        return 0

    def _given(self) -> list[str]:
        """The lines of the descriptions. Raises: UsageError, if they cannot be read or are too few or too many."""
        if self.descriptions is None:
            return []
        try:
            lines = [line.strip() for line in self.descriptions.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"it cannot be read ({type(error).__name__})", path=self.descriptions, remedy="give a text file in UTF-8"
            ) from error
        if len(set(lines)) != self.count:
            raise UsageError(
                f"it describes {len(set(lines))} different people, and --count is {self.count}",
                path=self.descriptions,
                remedy=f"give --count {len(set(lines))}, or one line for each person",
            )
        return lines
