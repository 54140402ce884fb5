"""A report that no audit made: random pictures and numbers, and every text that comes from a file is hostile."""

from dataclasses import replace

import numpy as np
import pytest

from loraleak.defences.trials import Trial
from loraleak.reporting.report import Report
from loraleak.reporting.results import (
    Answer,
    ArmResult,
    Bystander,
    DefenceResult,
    DefenceStudy,
    NullTest,
    Photo,
    PhotoAnswer,
    Side,
    Verdict,
)
from loraleak.types import ArmRole, Finding, Images, Interval

MARKUP = "\"><script>alert('x')</script><img src=https://example.org/x onerror=alert(1)>{{ 7 * 7 }}</style>"
MARKDOWN = "`a|b` [x](javascript:alert(1)) ![y](https://example.org/y.png) <b>z</b> https://example.org\n# heading\n| c |"
CONTROLS = "a\u202egnp.exe\u2066\x1b[2J\x00\r\n\u200b\udcff"
LONG = "w" * 5000


@pytest.fixture
def report() -> Report:
    """Three photos, five arms: a floor, two attacks (one that shows no difference), a control and a ceiling."""
    rng = np.random.default_rng(11)

    def pictures(count: int) -> Images:
        return rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)

    def arm(name: str, role: ArmRole, mean: float, excess: Interval | None) -> ArmResult:
        near = rng.uniform(-0.2, 0.9, 8)
        return ArmResult(
            name=name,
            role=role,
            says=f"What {name} needs.",
            images=pictures(8),
            similarity=Interval(mean, mean - 0.05, mean + 0.06),
            excess=excess,
            over=None if excess is None else "base-class",
            nearest=tuple(int(i) for i in rng.integers(0, 3, 8)),
            nearest_similarity=tuple(0.0 if i == 7 else float(s) for i, s in enumerate(near)),
            shows_nobody=(False,) * 7 + (True,),
        )

    return Report(
        created="2026-01-02T03:04:05Z",
        version="0.1.0",
        seed=3,
        base="https://example.org/base|`x`",
        base_sha256="b" * 64,
        adapter_path=f"{MARKUP}{CONTROLS}.safetensors",
        adapter_sha256="a" * 64,
        adapter_format="peft",
        ranks=(4, 8),
        modules=40,
        strength=1.0,
        photos=(
            Photo(MARKUP, "1" * 64, 0.31, pictures(1)[0]),
            Photo(MARKDOWN, "2" * 64, 0.81, pictures(1)[0]),
            Photo(CONTROLS + LONG, "3" * 64, 0.52, rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)),
        ),
        verdict=Verdict(
            "high",
            0.0039,
            (f"First reason: {MARKDOWN}", f"Second reason: {MARKUP}"),
            f"255 controls {MARKDOWN}",
            (NullTest("control-adapters", f"255 controls {MARKDOWN}", 0.0039, 1 / 256, (f"First reason: {MARKDOWN}",), 4.2),),
        ),
        arms=(
            arm("base-class", "floor", -0.11, None),
            arm("lora-class", "attack", 0.42, Interval(0.53, 0.4, 0.6)),
            arm("lora-empty", "attack", -0.08, Interval(0.03, -0.04, 0.1)),
            arm("lora-mean-z", "control", 0.2, Interval(0.31, 0.2, 0.4)),
            arm("lora-trigger", "ceiling", 0.75, Interval(0.86, 0.8, 0.9)),
        ),
        metadata=(
            Finding("ss_dataset_dirs", "critical", f"Names the training folders: {MARKUP}{CONTROLS}"),
            Finding(LONG, "high", LONG),
            Finding("ss_seed", "medium", "Tells the seed: “42”."),
        ),
        knowledge=("The adapter file.", "The public base model."),
        advice=("Do not publish this file as it is.", "Remove the header fields."),
        bystanders=(
            Bystander((MARKUP, MARKDOWN), 0.44, 0.02, pictures(1)[0]),
            Bystander(("b.png",), 0.1, 0.63, pictures(1)[0]),
        ),
        answers=(
            Answer(
                "membership",
                "Was it used?",
                "Yes.",
                "others",
                0.01,
                (PhotoAnswer(MARKUP, 0.5, 0.2, "more familiar than 4 of 4"),),
            ),
            Answer("other", "And this?", "Not tested."),
        ),
        limits=("Eight pictures an arm.",),
        settings={"base": "pocket", "seed": 3, "prompt": None, "arms": [], "class_prompt": MARKUP, "steps": 20},
        timings_s={"load": 1.25, "total": 41.0},
    )


@pytest.fixture
def study() -> DefenceStudy:
    """The adapter as it is; one setting that is recommended, one that changes nothing, one of a hostile third party."""
    rng = np.random.default_rng(12)

    def side(arm: str, mean: float, change: float) -> Side:
        images = rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
        return Side(arm, images, Interval(mean, mean - 0.04, mean + 0.05), Interval(change, change - 0.02, change + 0.02))

    def result(defence: str, says: str, leak: float, use: float, trial: Trial | None = "untried") -> DefenceResult:
        return DefenceResult(
            defence=defence,
            name=defence.partition(":")[0],
            says=says,
            leak=side("lora-class", leak, leak - 0.61),
            use=side("lora-trigger", use, use - 0.72),
            leak_kept=leak / 0.61,
            use_kept=use / 0.72,
            trial=trial,
        )

    undefended = result("", "The file as you would publish it.", 0.61, 0.72, None)
    return DefenceStudy(
        attacks=("lora-class", "lora-empty"),
        over="base-class",
        undefended=replace(undefended, name="as it is"),
        tried=(
            result("rank-truncation:rank=2", "Keeps two directions.", 0.21, 0.66),
            result("scaling:factor=0.99", "Weakens it.", 0.61, 0.71, "fell"),
            result(f"{MARKUP}:{CONTROLS}", MARKUP + CONTROLS + LONG, -0.09, 0.02),
        ),
        recommended=0,
    )
