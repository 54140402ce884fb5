"""Variants differ in what their name says, and in nothing else."""

from dataclasses import asdict
from pathlib import Path

from loraleak.bench.bench_settings import ArmsBench
from loraleak.bench.grid import draw_intensity, intensity, transfer


def _changed(usual: object, other: object) -> set[str]:
    one, two = asdict(usual), asdict(other)  # type: ignore[call-overload]
    flat_one, flat_two = ({**facts, **facts["recipe"], "recipe": None} for facts in (one, two))
    return {name for name in flat_one if flat_one[name] != flat_two[name]}


def test_transfer_changes_one_thing_at_a_time() -> None:
    usual = ArmsBench()
    variants = transfer(usual)
    assert _changed(usual, variants["as usual"]) == set()
    assert _changed(usual, variants["rank 2"]) == {"rank", "alpha"}
    assert _changed(usual, variants["no prior preservation"]) == {"prior_batch"}
    assert _changed(usual, variants["20 images"]) == {"photos"}
    assert _changed(usual, variants["another style of people"]) == {"styles"}
    assert all(_changed(usual, variant) for name, variant in variants.items() if name != "as usual")


def test_intensity_is_every_cell_once() -> None:
    cells = intensity(ArmsBench())
    assert len(cells) == 18
    assert len({(c.recipe.steps, c.recipe.rank, c.photos) for c in cells.values()}) == 18


def test_the_heat_map_is_drawn(tmp_path: Path) -> None:
    found = {"rank1": {"mean": 0.5, "low": 0.25, "high": 0.75}}
    rows = {name: {"arms": {"base-class": found, "lora-z": found}} for name in intensity(ArmsBench())}
    draw_intensity({"rows": rows}, tmp_path / "intensity")
    assert (tmp_path / "intensity.png").stat().st_size > 10_000 and "lora-z, 3 images" in (
        tmp_path / "intensity.svg"
    ).read_text()
