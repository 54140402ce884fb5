"""The server of the page. It listens on this machine alone, unless it is told otherwise; then every visitor needs a token."""

import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loraleak.assets import DEMO

__all__ = ["Served", "Serving", "serve"]

_LOCAL = ("127.0.0.1", "localhost", "::1")
_WAITING = 32
"""Most visitors who wait for an audit."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
)
"""Content Security Policy: the page takes nothing from other hosts, and sends nothing to them."""
_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_ASKS = "Any name will do. The password is the token that `loraleak ui` printed."


@dataclass(frozen=True)
class Serving:
    """Where and what to serve."""

    host: str = "127.0.0.1"
    port: int = 7860
    bases: tuple[str, ...] = ("pocket",)
    max_upload_mb: int = 2048

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the page."""
        return self.host in _LOCAL


@dataclass(frozen=True)
class Served:
    """A page that is being served."""

    address: str
    token: str
    """What visitors give before they see the page; empty where only this machine reaches it."""
    wait: Callable[[], object]
    """Returns when somebody interrupts the server."""


@contextmanager
def serve(serving: Serving) -> Iterator[Served]:
    """Context in which the page is served. At its end every audit ends, and all files of visitors are deleted.

    Raises: ModuleNotFoundError, if gradio is not installed; OSError, if the port is taken.
    """
    token = "" if serving.local else secrets.token_urlsafe(24)
    with TemporaryDirectory(prefix="loraleak-ui-", ignore_cleanup_errors=True) as root:
        uploads, places = Path(root) / "uploads", Path(root) / "visits"
        for place in (uploads, places):
            place.mkdir(mode=0o700)
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(uploads)}  # read when gradio is imported

        from loraleak.web.page import CSS, page_of, theme
        from loraleak.web.visits import Visits

        visits = Visits(places)
        page = page_of(visits, serving.bases, local=serving.local)
        page.queue(max_size=_WAITING, api_open=False)
        _, address, _ = page.launch(
            server_name=serving.host,
            server_port=serving.port,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            auth=(lambda _, given: secrets.compare_digest(given.encode(), token.encode())) if token else None,
            auth_message=_ASKS if token else None,
            allowed_paths=[str(places), str(DEMO)],
            max_file_size=serving.max_upload_mb * 2**20,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            app_kwargs=_app_settings(),
            theme=theme(),
            css=CSS,
        )
        try:
            yield Served(address, token, page.block_thread)
        finally:
            visits.end()
            page.close(verbose=False)


def _app_settings() -> dict[str, Any]:
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware

    async def guarded(request: Any, answer: Callable[[Any], Awaitable[Any]]) -> Any:
        response = await answer(request)
        response.headers.update(_HEADERS)
        return response

    return {"middleware": [Middleware(BaseHTTPMiddleware, dispatch=guarded)], "docs_url": None, "redoc_url": None}
