"""Figures of benches, as files."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


def save_figure(figure: "Figure", out: Path) -> None:
    """`out`.png and .svg, with the same bytes for the same figure; the figure is closed."""
    import matplotlib
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": out.name}):
        figure.savefig(out.with_suffix(".png"), dpi=130)
        figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)
