"""`loraleak ui`: a page in the browser."""

from dataclasses import dataclass

from loraleak.checks import out_of_bounds, refuse
from loraleak.cli.extras import needs_extra

__all__ = ["Ui"]


@dataclass(frozen=True)
class Ui:
    """Opens a page in the browser: drop a file and photos, read the report, take a clean copy."""

    host: str = "127.0.0.1"
    """Address to listen on. On any other than 127.0.0.1, visitors from other machines need the token that is printed."""
    port: int = 7860
    """Port to listen on."""
    bases: tuple[str, ...] = ("pocket",)
    """Bases to choose from. On 127.0.0.1 the page takes any other too."""
    max_upload_mb: int = 2048
    """Largest file that the page takes, in megabytes."""

    def __post_init__(self) -> None:
        faults = out_of_bounds(self, {"port": (1, 65535), "max_upload_mb": (1, 65536)})
        refuse(*faults, *([] if self.bases else ["bases is empty, give at least one"]))

    def run(self) -> int:
        with needs_extra("ui", "gradio", why="the page needs gradio"):
            import gradio  # noqa: F401
        from loraleak.progress import announce
        from loraleak.web import Serving, serve

        with serve(Serving(self.host, self.port, self.bases, self.max_upload_mb)) as served:
            announce(f"the page is at {served.address}; Ctrl+C ends it")
            if served.token:
                announce(f"other machines can reach it; visitors need the token {served.token}")
            served.wait()
        return 0
