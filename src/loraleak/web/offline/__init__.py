"""A page without a server: one HTML file in which this package runs in the visitor's browser. Nothing is uploaded.

Reading order: `in_browser` (what Python does there), `write` (the file); beside them lies the page itself. Pyodide is CPython for
browsers. Names load on first use, because the browser needs the first module alone.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.web.offline.write import PYODIDE as PYODIDE
    from loraleak.web.offline.write import fetch_pyodide as fetch_pyodide
    from loraleak.web.offline.write import write_page as write_page

__all__, __getattr__, __dir__ = lazy(__name__, {"write": ["PYODIDE", "fetch_pyodide", "write_page"]})
