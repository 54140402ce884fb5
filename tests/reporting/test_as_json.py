"""report.json: the names that programs rely on."""

import json

from loraleak.reporting.report import Report


def test_the_promised_names_are_there(report: Report) -> None:
    plain = report.to_json()
    assert plain["schema"] == "loraleak.report/1"
    assert plain["loraleak"] == "0.1.0" and plain["created"].endswith("Z") and plain["seed"] == 3
    assert plain["base"] == {"name": report.base, "sha256": "b" * 64}
    adapter = {"path": report.adapter_path, "sha256": "a" * 64, "format": "peft", "rank": {"min": 4, "max": 8}, "modules": 40}
    assert plain["adapter"] == {**adapter, "strength": 1.0}
    assert plain["photos"][1] == {"path": report.photos[1].path, "sha256": "2" * 64, "exposure": 0.81}
    assert plain["verdict"]["level"] == "high" and plain["verdict"]["p_value"] == 0.0039
    assert plain["verdict"]["reasons"] == list(report.verdict.reasons)
    assert plain["metadata"][2] == {"field": "ss_seed", "severity": "medium", "says": "Tells the seed: “42”.", "group": "other"}
    assert plain["timings_s"]["total"] == 41.0


def test_arms_keep_role_numbers_and_what_they_are_compared_with(report: Report) -> None:
    arms = report.to_json()["arms"]
    assert list(arms) == [arm.name for arm in report.arms]
    attack = arms["lora-class"]
    assert (attack["role"], attack["images"]) == ("attack", 8)
    assert set(attack["similarity"]) == {"mean", "low", "high"}
    assert attack["excess"] == {"mean": 0.53, "low": 0.4, "high": 0.6, "over": "base-class"}
    assert "excess" not in arms["base-class"]
    assert [near["photo"] for near in attack["nearest"]] == list(report.arms[1].nearest)
    assert [near["cosine"] for near in attack["nearest"]] == list(report.arms[1].nearest_similarity)


def test_bystanders_and_pictures_that_show_nobody_are_there(report: Report) -> None:
    plain = report.to_json()
    assert plain["bystanders"][1] == {"photos": ["b.png"], "exposure": 0.1, "p_value": 0.63}
    assert plain["arms"]["lora-class"]["shows_nobody"] == [7]


def test_answers_are_there_with_their_photos(report: Report) -> None:
    first, second = report.to_json()["answers"]
    assert (first["name"], first["p_value"], second["p_value"], second["photos"]) == ("membership", 0.01, None, [])
    assert first["photos"] == [
        {"path": report.answers[0].photos[0].path, "score": 0.5, "p_value": 0.2, "says": "more familiar than 4 of 4"}
    ]


def test_what_the_page_says_is_there_too(report: Report) -> None:
    plain = report.to_json()
    assert plain["verdict"]["null"] == report.verdict.null
    for name in ("knowledge", "advice", "limits"):
        assert plain[name] == list(getattr(report, name))
    assert plain["settings"] == report.settings
    assert all(arm["says"] for arm in plain["arms"].values())


def test_it_is_strict_json_and_reads_back_as_it_was(report: Report) -> None:
    plain = report.to_json()
    text = json.dumps(plain, allow_nan=False)
    text.encode()
    assert json.loads(text) == plain
