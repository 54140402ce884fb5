"""The page as one HTML file: Pyodide, this package and the template engine are packed into it, so that it asks for nothing."""

import hashlib
import shutil
import subprocess
import tarfile
from base64 import b64encode
from gzip import compress
from importlib import resources
from io import BytesIO
from json import dumps, loads
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from loraleak.errors import UsageError
from loraleak.files import write_text
from loraleak.version import __version__

__all__ = ["PYODIDE", "fetch_pyodide", "write_page"]

PYODIDE = "0.29.4"
"""The last version with Python 3.13. Later ones have a Python that this package does not name yet."""
_SHA512 = (
    "b42b1e4eca94de44b16488e4b9ee735f14cc344c2b299c0e20811044103f5731"
    "f114dd61a02c5ee30e35a617c274777d8adf517023506f92bf45ed089ea320bc"
)
_CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
_LOCK = "pyodide-lock.json"
_ENGINE = ("jinja2", "markupsafe")
"""Pure Python, as installed. MarkupSafe does without its C part."""


def fetch_pyodide(folder: Path) -> Path:
    """Pyodide's package, which npm fetches into a folder. Raises: UsageError, if there is no npm, or if npm cannot fetch it."""
    npm = shutil.which("npm")
    by_hand = f"fetch it with `npm pack pyodide@{PYODIDE}` elsewhere, and give the file with --pyodide"
    if npm is None:
        raise UsageError("npm is not on this machine, and it fetches Pyodide", remedy=by_hand)
    done = subprocess.run(
        [npm, "pack", "--silent", f"pyodide@{PYODIDE}"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = " ".join(done.stderr.split())[:300]
        raise UsageError(f"npm cannot fetch Pyodide ({told or 'it says nothing'})", remedy=by_hand)
    return folder / f"pyodide-{PYODIDE}.tgz"


def write_page(out: Path, pyodide: Path | None = None) -> None:
    """Write the page. `pyodide` is npm's package; None lets npm fetch it.

    Raises: UsageError, if the package is not to be had, or is not the one that this page was made with.
    """
    with TemporaryDirectory(prefix="loraleak-page-") as folder:
        parts = _core(fetch_pyodide(Path(folder)) if pyodide is None else pyodide)
    parts["loraleak.zip"] = _sources()
    here = resources.files(__package__)
    script = here.joinpath("page.js").read_text("utf-8")
    environment = Environment(
        loader=PackageLoader(__package__, "."), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    page = environment.get_template("page.html.j2").render(
        hash=f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        css=here.joinpath("page.css").read_text("utf-8"),
        worker=here.joinpath("worker.js").read_text("utf-8"),
        script=script,
        parts={name: b64encode(compress(data, mtime=0)).decode() for name, data in parts.items()},
        version=__version__,
        pyodide=PYODIDE,
    )
    write_text(out, page)


def _core(package: Path) -> dict[str, bytes]:
    """The files of Pyodide that run Python, without its list of packages, of which none is there."""
    data = package.read_bytes()
    if hashlib.sha512(data).hexdigest() != _SHA512:
        fault = f"it is not Pyodide {PYODIDE} as npm has it"
        raise UsageError(fault, path=package, remedy=f"give what `npm pack pyodide@{PYODIDE}` fetches")
    with tarfile.open(fileobj=BytesIO(data)) as held:
        parts = {name: held.extractfile(f"package/{name}").read() for name in (*_CORE, _LOCK)}  # type: ignore[union-attr]
    return parts | {_LOCK: dumps({**loads(parts[_LOCK]), "packages": {}}).encode()}


def _sources() -> bytes:
    """A zip archive of this package and of the template engine, the same bytes each time."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_STORED) as archive:
        for package in ("loraleak", *_ENGINE):
            with resources.as_file(resources.files(package)) as root:
                for file in sorted(root.rglob("*")):
                    if file.suffix in (".py", ".j2"):
                        archive.writestr(ZipInfo(f"{package}/{file.relative_to(root).as_posix()}"), file.read_bytes())
    return packed.getvalue()
