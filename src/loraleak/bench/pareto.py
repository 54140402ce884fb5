"""Summaries of what each defence takes from strangers and from the owner, one a cell, as a table and as a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from loraleak.bench.captioned import Captioned
from loraleak.bench.figures import save_figure
from loraleak.bench.paper import CEILING, FLOOR
from loraleak.defences import links
from loraleak.errors import UsageError
from loraleak.reporting import in_brackets
from loraleak.scores import bootstrap_mean, paired_difference
from loraleak.types import Interval

__all__ = ["Summary", "as_markdown", "draw_pareto", "summaries"]

_COLOURS = (
    "#1f6feb",
    "#d1242f",
    "#1a7f37",
    "#9a6700",
    "#8250df",
    "#bf3989",
    "#0e7490",
    "#e39f00",
    "#bc4c00",
    "#4d2d00",
    "#7d9b00",
    "#00a6c7",
)
_KINDS = {"post-hoc": ("o", "of the finished file"), "training-time": ("s", "of the fine-tuning")}
"""Marker of each kind of defence, and its words in the legend."""
_SIDES = {"use": "use: own prompt shows the person (rank-1)", "adherence": "use: captions show whom they describe"}
"""What a model is still of use for, and its words on the axis."""
_GREY = "#57606a"
_HOLLOW: dict[str, Any] = {"color": _GREY, "marker": "o", "markersize": 6, "markerfacecolor": "white"}


@dataclass(frozen=True)
class Attack:
    """The arm with which an adversary finds most in a cell."""

    arm: str
    leak: Interval


@dataclass(frozen=True)
class Summary:
    """One defence at one number of photos: rank-1 with intervals over victims. Changes are paired with no defence."""

    photos: int
    defence: str
    """Empty for none."""
    kind: str
    epsilon_image: float | None
    epsilon_person: float | None
    victims: int
    arm: str
    """The attack that finds most in this cell, because a stranger takes what works."""
    adversary: str
    """Adversary to whom that attack belongs: static, or adaptive."""
    leak: Interval
    excess: Interval
    """Leak above the floor."""
    leak_change: Interval
    static: Attack
    """The best of the usual attacks."""
    adaptive: Attack | None
    """The best of those that were trained against the defence; None where there were none."""
    use: Interval
    """Rank-1 of the owner's own prompt."""
    use_change: Interval
    adherence: Interval | None
    """Share of pictures from other people's captions that show whom the caption describes; None where nobody has a caption."""
    adherence_change: Interval | None

    @property
    def name(self) -> str:
        """Name of the defence without settings; a chain has the names of all its links."""
        return "+".join(link.partition(":")[0] for link in links(self.defence))

    @property
    def setting(self) -> str:
        """The first value of the settings; a chain has that of its last link."""
        return links(self.defence)[-1].partition("=")[2].partition(",")[0]


def summaries(rows: pa.Table) -> list[Summary]:
    """Summaries in the order in which the cells come, over the victims whom all arms of a cell have.

    Raises: UsageError, if there is a cell without its undefended counterpart, or with victims that this does not have.
    """
    scores: dict[tuple[int, str], dict[tuple[str, str], dict[int, float]]] = {}
    facts: dict[tuple[int, str], Mapping[str, Any]] = {}
    attacks = {row["arm"] for row in rows.to_pylist() if row["role"] == "attack"}
    for row in rows.to_pylist():
        cell = (row["photos"], row["defence"])
        facts.setdefault(cell, row)
        scores.setdefault(cell, {}).setdefault((row["adversary"], row["arm"]), {})[row["victim"]] = row["rank1"]
    made = []
    for (photos, defence), by_arm in scores.items():
        undefended = scores.get((photos, ""), {})
        victims = sorted(set.intersection(*map(set, by_arm.values())))
        if not victims or not undefended or not all(values.keys() >= set(victims) for values in undefended.values()):
            raise UsageError(
                f"{photos} photos, {defence or 'no defence'}: an undefended run on the same victims is missing: "
                "run `bench paper` with as many victims and these photos too"
            )
        arms, bare = _ordered(by_arm, victims), _ordered(undefended, victims)
        adversaries = dict.fromkeys(adversary for adversary, _ in arms)
        bests = {who: _best({arm: found for arm, found in arms.items() if arm[0] == who}, attacks) for who in adversaries}
        by_adversary = {who: Attack(arm, bootstrap_mean(arms[who, arm])) for who, (_, arm) in bests.items()}
        best = _best(arms, attacks)
        bare_best = _best(bare, attacks)
        first = facts[photos, defence]
        ceiling, captions = ("static", CEILING), ("static", Captioned.name)
        made.append(
            Summary(
                photos=photos,
                defence=defence,
                kind=str(first["kind"]),
                epsilon_image=first["epsilon_image"],
                epsilon_person=first["epsilon_person"],
                victims=len(arms[best]),
                adversary=best[0],
                arm=best[1],
                leak=bootstrap_mean(arms[best]),
                excess=paired_difference(arms[best], bare["static", FLOOR]),
                leak_change=paired_difference(arms[best], bare[bare_best]),
                static=by_adversary["static"],
                adaptive=by_adversary.get("adaptive"),
                use=bootstrap_mean(arms[ceiling]),
                use_change=paired_difference(arms[ceiling], bare[ceiling]),
                adherence=bootstrap_mean(arms[captions]) if captions in bare else None,
                adherence_change=paired_difference(arms[captions], bare[captions]) if captions in bare else None,
            )
        )
    return made


def as_markdown(cells: Sequence[Summary]) -> str:
    """Markdown of one table for each number of photos."""
    parts = []
    for photos in dict.fromkeys(cell.photos for cell in cells):
        here = [cell for cell in cells if cell.photos == photos]
        parts.append(f"### {photos} photos a person\n")
        parts.append(
            "| defence | victims | leak (rank-1) | over the floor | change | by the usual attack | by one trained against it "
            "| use (rank-1) | change | captions | change |"
        )
        parts.append("|---|---|---|---|---|---|---|---|---|---|---|")
        for cell in here:
            first = not cell.defence
            columns = (
                _named(cell),
                str(cell.victims),
                in_brackets(cell.leak),
                in_brackets(cell.excess),
                "" if first else in_brackets(cell.leak_change),
                _told(cell.static),
                "" if cell.adaptive is None else _told(cell.adaptive),
                in_brackets(cell.use),
                "" if first else in_brackets(cell.use_change),
                "" if cell.adherence is None else in_brackets(cell.adherence),
                "" if first or cell.adherence_change is None else in_brackets(cell.adherence_change),
            )
            parts.append(f"| {' | '.join(columns)} |")
        parts.append("")
    return "\n".join(parts)


def draw_pareto(cells: Sequence[Summary], out: Path) -> None:
    """Write `out`.png and .svg: leak against use, and below against captions where there are any, one column a number of photos,
    one curve a defence.

    The dotted line is where a stranger sees as much of the person as the owner.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts = list(dict.fromkeys(cell.photos for cell in cells))
    names = list(dict.fromkeys(cell.name for cell in cells if cell.defence))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    sides = [side for side in _SIDES if all(getattr(cell, side) for cell in cells)]
    size = (1 + 4.2 * len(counts), 0.6 + 4 * len(sides))
    figure, axes = plt.subplots(len(sides), len(counts), figsize=size, squeeze=False, sharex=True, sharey=True)
    for column, photos in enumerate(counts):
        here = [cell for cell in cells if cell.photos == photos]
        for row, side in enumerate(sides):
            axis = axes[row][column]
            bare = next(cell for cell in here if not cell.defence)
            for name in names:
                _draw(axis, bare, [cell for cell in here if cell.name == name], side, colours[name], name)
            _draw_undefended(axis, bare, side)
            axis.set(xlim=(-0.03, 1.03), ylim=(-0.09, 1.03))
            axis.spines[["top", "right"]].set_visible(False)
            if row == 0:
                axis.plot([0, 1], [0, 1], color="#8c959f", linestyle=":", linewidth=1, zorder=0)
                axis.set_title(f"{photos} photos a person")
            axis.text(0.99, 0.01, "private and useful", transform=axis.transAxes, ha="right", va="bottom", color=_GREY)
            axis.set_xlabel(_SIDES[side])
    for kind, (marker, says) in _KINDS.items():
        if any(cell.kind == kind for cell in cells):
            axes[0][0].plot([], [], linestyle="none", marker=marker, color=_GREY, label=says)
    if any(cell.adaptive for cell in cells):
        axes[0][0].plot([], [], linestyle=":", linewidth=1, label="attack trained against it", **_HOLLOW)
    for row in range(len(sides)):
        axes[row][0].set_ylabel("leak: best attack shows the person (rank-1)")
    by_label = {label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    wide = 2 * len(counts)
    figure.legend(by_label.values(), by_label.keys(), loc="lower center", ncols=wide, frameon=False)
    figure.tight_layout(rect=(0, 0.03 + 0.025 * -(-len(by_label) // wide), 1, 1))
    save_figure(figure, out)


def _draw(axis: Any, bare: Summary, cells: Sequence[Summary], side: str, colour: str, name: str) -> None:
    """Draw the curve of a defence: from no defence through its settings, the one that leaves the most leak first. A hollow mark
    shows what an attack that was trained against the defence finds."""
    if not cells:
        return
    cells = sorted(cells, key=lambda cell: -cell.static.leak.mean)
    marker, _ = _KINDS[cells[0].kind]
    uses = [getattr(cell, side) for cell in cells]
    xs, leaks = [use.mean for use in uses], [cell.static.leak for cell in cells]
    ys = [leak.mean for leak in leaks]
    axis.plot([getattr(bare, side).mean, *xs], [bare.static.leak.mean, *ys], color=colour, linewidth=1.2, alpha=0.7)
    axis.errorbar(
        xs,
        ys,
        xerr=_arms(uses),
        yerr=_arms(leaks),
        color=colour,
        marker=marker,
        markersize=5,
        elinewidth=0.5,
        linestyle="none",
        label=name,
    )
    for cell, x, y in zip(cells, xs, ys, strict=True):
        axis.annotate(cell.setting, (x, y), (4, 3), textcoords="offset points", fontsize=7, color=colour)
    hollow = _HOLLOW | {"color": colour, "marker": marker}
    for cell, x in zip(cells, xs, strict=True):
        if cell.adaptive is not None:
            told = cell.adaptive.leak
            axis.plot([x, x], [cell.static.leak.mean, told.mean], color=colour, linewidth=1, linestyle=":")
            axis.errorbar([x], [told.mean], yerr=_arms([told]), elinewidth=0.5, **hollow)


def _draw_undefended(axis: Any, cell: Summary, side: str) -> None:
    use = getattr(cell, side)
    axis.errorbar(
        [use.mean],
        [cell.leak.mean],
        xerr=_arms([use]),
        yerr=_arms([cell.leak]),
        color="black",
        marker="*",
        markersize=13,
        elinewidth=0.8,
        linestyle="none",
        label="no defence",
        zorder=5,
    )


def _arms(intervals: Sequence[Interval]) -> Float[np.ndarray, "2 points"]:
    return np.array([[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]])


def _ordered(
    by_arm: Mapping[tuple[str, str], Mapping[int, float]], victims: Sequence[int]
) -> dict[tuple[str, str], Float[np.ndarray, " victims"]]:
    return {arm: np.array([values[victim] for victim in victims], dtype=np.float64) for arm, values in by_arm.items()}


def _best(arms: Mapping[tuple[str, str], Float[np.ndarray, " victims"]], attacks: set[str]) -> tuple[str, str]:
    return max((arm for arm in arms if arm[1] in attacks), key=lambda arm: float(arms[arm].mean()))


def _named(cell: Summary) -> str:
    if not cell.defence:
        return "none"
    if cell.epsilon_image is None or cell.epsilon_person is None:
        return f"`{cell.defence}`"
    return f"`{cell.defence}` (image {cell.epsilon_image:.3g}, person {cell.epsilon_person:.3g})"


def _told(attack: Attack) -> str:
    return f"{attack.leak.mean:.2f}, {attack.arm}"
