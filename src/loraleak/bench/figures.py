"""Figures of benches, as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from loraleak.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


def save_figure(figure: "Figure", out: Path) -> None:
    """Write `out`.png and .svg, with the same bytes for the same figure, and close the figure."""
    import matplotlib
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": out.name}):
        with replacing(out.with_suffix(".png")) as partial:
            figure.savefig(partial, dpi=130)
        with replacing(out.with_suffix(".svg")) as partial:
            figure.savefig(partial, metadata={"Date": None})
    plt.close(figure)
