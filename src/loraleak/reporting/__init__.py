"""Reports. In: the results of an audit, as plain data. Out: HTML, JSON, Markdown, pictures.

Reading order: `results` (what an audit found), `report` (the results, which write themselves), `words` (names of the numbers),
then one file a writer. `compare` reads two reports.
"""

from loraleak.reporting.compare import Comparison, compare, read_report
from loraleak.reporting.first_screen import evidence_in_words
from loraleak.reporting.pictures import write_pictures
from loraleak.reporting.report import Report
from loraleak.reporting.results import (
    LEVELS,
    Answer,
    ArmResult,
    Bystander,
    DefenceResult,
    DefenceStudy,
    Level,
    Photo,
    Side,
    Verdict,
)
from loraleak.reporting.words import conclusion, in_brackets, percent, scrub_command, shown

__all__ = [
    "LEVELS",
    "Answer",
    "ArmResult",
    "Bystander",
    "Comparison",
    "DefenceResult",
    "DefenceStudy",
    "Level",
    "Photo",
    "Report",
    "Side",
    "Verdict",
    "compare",
    "conclusion",
    "evidence_in_words",
    "in_brackets",
    "percent",
    "read_report",
    "scrub_command",
    "shown",
    "write_pictures",
]
