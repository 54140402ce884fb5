"""`loraleak page`: the page that needs no server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

__all__ = ["Page"]


@dataclass(frozen=True)
class Page:
    """Writes one HTML file that inspects LoRA files and makes clean copies in the browser. It needs no server and uploads nothing."""

    out: Annotated[Path, arg(aliases=("-o",))] = Path("index.html")
    """The file to write."""
    overwrite: bool = False
    """Replace that file."""
    pyodide: Path | None = None
    """Pyodide's package from npm, a .tgz file. Without it, npm fetches it."""

    def run(self) -> int:
        from loraleak.outputs import check_new, save
        from loraleak.web.offline import write_page

        check_new(self.out, overwrite=self.overwrite)
        save(self.out, lambda place: write_page(place, self.pyodide))
        print(f"{self.out}: open it in a browser, or put it on any web server")
        return 0
