"""The table of sensitivity: which row speaks for an audit, and what would be enough."""

from dataclasses import replace

from loraleak.arms import ARMS, select_arms
from loraleak.assets import POCKET_KIT
from loraleak.auditing import AuditSettings
from loraleak.auditing.calibration import calibration_for
from loraleak.auditing.sensitivity import least_that_decides, row_for, table_for
from loraleak.bases import load_base
from loraleak.embedders import load_embedder
from loraleak.kits import Row, SamplingSetup, Table, attack_for, kit_for, read_kit

SETUP = SamplingSetup("b" * 64, "pocket", "a photo of a person", 20, 3.0, "a")
ROWS = (
    Row(images=2, steps=20, photos=5, files=40, review=30, high=20),
    Row(images=4, steps=20, photos=5, files=40, review=38, high=30),
    Row(images=8, steps=20, photos=2, files=40, review=37, high=30),
    Row(images=8, steps=20, photos=5, files=40, review=40, high=38),
    Row(images=8, steps=10, photos=5, files=20, review=17, high=12),
    Row(images=8, steps=20, photos=5, files=20, review=1, high=0, file="gaussian-noise:level=3"),
)
TABLE = Table(SETUP, ("lora-class", "lora-z"), ROWS)


def test_the_row_for_an_audit_has_no_more_of_anything_than_the_audit() -> None:
    assert row_for(TABLE, images=8, steps=20, photos=5) == ROWS[3]
    assert row_for(TABLE, images=100, steps=50, photos=30) == ROWS[3]
    assert row_for(TABLE, images=7, steps=20, photos=5) == ROWS[1]
    assert row_for(TABLE, images=8, steps=19, photos=9) == ROWS[4]
    assert row_for(TABLE, images=8, steps=9, photos=5) is None


def test_the_fewest_pictures_that_decide_are_named() -> None:
    assert least_that_decides(TABLE, steps=20, photos=5, max_miss_rate=0.1) == ROWS[1]
    assert least_that_decides(TABLE, steps=20, photos=2, max_miss_rate=0.1) == ROWS[2]
    assert least_that_decides(TABLE, steps=10, photos=5, max_miss_rate=0.1) == ROWS[1]
    assert least_that_decides(TABLE, steps=10, photos=5, max_miss_rate=0.2) == ROWS[4]
    assert least_that_decides(TABLE, steps=20, photos=1, max_miss_rate=0.1) is None


def test_a_table_holds_for_its_own_sampling_and_attacks_alone() -> None:
    kit = replace(read_kit(POCKET_KIT), sensitivity=TABLE)
    assert table_for(kit, SETUP, ("lora-z", "lora-class")) == TABLE
    assert table_for(kit, replace(SETUP, steps=7), TABLE.attacks) == TABLE
    assert table_for(kit, replace(SETUP, guidance_scale=1.0), TABLE.attacks) is None
    assert table_for(kit, SETUP, ("lora-class",)) is None
    assert table_for(replace(kit, sensitivity=None), SETUP, TABLE.attacks) is None
    assert table_for(None, SETUP, TABLE.attacks) is None


def test_the_table_that_ships_speaks_for_the_usual_audit_of_pocket() -> None:
    base, settings = load_base("pocket", device="cpu"), AuditSettings()
    attack = attack_for(base)
    assert attack is not None
    setup = SamplingSetup(
        base.sha256, load_embedder("pocket").name, settings.class_prompt, settings.steps, settings.guidance_scale, attack.sha256
    )
    attacks = [arm.name for arm in select_arms(tuple(ARMS)) if arm.role == "attack"]
    kit = kit_for(base)
    table = table_for(kit, setup, attacks)
    assert table is not None
    row = row_for(table, images=settings.images, steps=settings.steps, photos=5)
    assert row is not None and row.files == 40 and row.miss_rate <= settings.max_miss_rate
    calibration = calibration_for(kit, setup, attacks, images=settings.images, photos=5)
    assert calibration is not None and calibration.error < 0.05
