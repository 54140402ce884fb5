"""The model-card snippet, read by a Markdown parser that is not ours."""

from dataclasses import replace
from html import unescape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from loraleak.reporting.report import Report

_READER = MarkdownIt("commonmark").enable("table")


def _tokens(report: Report) -> list[Token]:
    return [inner for token in _READER.parse(report.to_markdown()) for inner in (token, *(token.children or ()))]


def test_text_from_files_becomes_no_markup(report: Report) -> None:
    report = replace(report, version="0.1 <script>alert(1)</script>")
    tokens = _tokens(report)
    types = {token.type for token in tokens}
    assert types.isdisjoint({"html_inline", "html_block", "link_open", "image", "fence", "code_block", "s_open"})
    assert [token.content for token in tokens if token.type == "code_inline"] == ["a" * 64]
    assert sum(token.type == "heading_open" for token in tokens) == 1
    assert sum(token.type == "list_item_open" for token in tokens) == len(report.verdict.reasons)


def test_the_table_has_one_row_an_arm_and_four_cells_a_row(report: Report) -> None:
    arms = (replace(report.arms[1], name="x|y`z\n| w |_u_"), *report.arms)
    tokens = _tokens(replace(report, arms=arms))
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(arms)
    assert sum(token.type == "td_open" for token in tokens) == 4 * len(arms)


def test_it_reads_as_it_was_meant(report: Report) -> None:
    text = unescape(_READER.render(report.to_markdown()).replace("<td>", "").replace("</td>", ""))
    for words in (
        "This file leaks",
        "level: high, p = 0.0039",
        "First reason: `a|b` [x](javascript:alert(1))",
        "lora-class",
        "0.42 [0.37, 0.48]",
        "+0.53 [+0.40, +0.60] over base-class",
        "no difference shown to base-class",
        "on 2026-01-02",
        "3 photos, seed 3",
        "a" * 64,
        "1 critical, 1 high, 1 medium",
    ):
        assert words in text


def test_addresses_are_not_left_for_renderers_that_link_them(report: Report) -> None:
    text = replace(report, base="https://example.org www.example.org someone@example.org").to_markdown()
    assert "://" not in text and "www." not in text and "@" not in text


def test_it_is_one_block_of_printable_lines(report: Report) -> None:
    text = report.to_markdown()
    text.encode()
    assert text.endswith("\n") and all(c.isprintable() or c == "\n" for c in text)
