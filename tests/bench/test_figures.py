"""Figures as files."""

from pathlib import Path

from matplotlib.figure import Figure

from loraleak.bench.figures import save_figure


def test_the_same_figure_is_the_same_files(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        figure = Figure()
        axis = figure.subplots()
        axis.errorbar([0, 1], [0, 1], yerr=[0.1, 0.1], marker="o", label="curve")
        axis.legend()
        save_figure(figure, tmp_path / folder / "drawn")
    for name in ("drawn.png", "drawn.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
