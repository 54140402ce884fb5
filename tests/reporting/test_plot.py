"""Where the plot puts things: a straight scale, wide enough for every interval."""

from dataclasses import replace

import numpy as np
import pytest

from loraleak.reporting.plot import axis_of, rows_of
from loraleak.reporting.report import Report
from loraleak.reporting.results import ArmResult
from loraleak.types import Interval

_EXTREMES = [Interval(0.0, 0.0, 0.0), Interval(1.0, 1.0, 1.0), Interval(-1.0, -1.0, -1.0), Interval(0.0, -0.2, 1.0)]


def _ticks(arms: tuple[ArmResult, ...]) -> tuple[list[float], list[float]]:
    places, labels = zip(*axis_of(arms).ticks, strict=True)
    return list(places), [float(label) for label in labels]


def _with(report: Report, *intervals: Interval) -> tuple[ArmResult, ...]:
    return tuple(replace(report.arms[0], similarity=interval) for interval in intervals)


def test_places_agree_with_the_ticks(report: Report) -> None:
    places, labels = _ticks(report.arms)
    for arm, row in zip(report.arms, rows_of(report.arms), strict=True):
        drawn = np.interp([row.low, row.mean, row.high], places, labels)
        np.testing.assert_allclose(drawn, [arm.similarity.low, arm.similarity.mean, arm.similarity.high], atol=1e-3)
    floor = axis_of(report.arms).chance
    assert floor is not None
    assert np.interp(floor, places, labels) == pytest.approx(report.arms[0].similarity.mean, abs=1e-3)


def test_ticks_are_every_fifth_and_reach_from_below_the_lowest_to_one(report: Report) -> None:
    assert _ticks(report.arms)[1] == [-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1]
    assert _ticks(_with(report, Interval(0.3, 0.1, 0.5)))[1] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert _ticks(_with(report, Interval(-0.9, -1.0, -0.7)))[1][0] == -1
    assert _ticks(())[1][0] == 0


@pytest.mark.parametrize("interval", _EXTREMES)
def test_nothing_leaves_the_frame(report: Report, interval: Interval) -> None:
    arms = _with(report, interval, Interval(0.1, 0.0, 0.2))
    axis, rows = axis_of(arms), rows_of(arms)
    for row in rows:
        assert 0 < row.low <= row.mean <= row.high < 100
        assert 0 < row.y < axis.bottom < axis.height
    assert len({row.y for row in rows}) == len(rows)


def test_rows_carry_names_roles_and_numbers_in_the_given_order(report: Report) -> None:
    rows = rows_of(report.arms)
    assert [(row.name, row.role) for row in rows] == [(arm.name, arm.role) for arm in report.arms]
    assert rows[1].label == "0.42 [0.37, 0.48]"


def test_without_a_floor_there_is_no_line_for_chance(report: Report) -> None:
    assert axis_of(report.arms[1:]).chance is None
