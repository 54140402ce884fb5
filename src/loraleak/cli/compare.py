"""`loraleak compare`: two reports side by side."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from loraleak.untrusted import printable

if TYPE_CHECKING:
    from loraleak.reporting import Comparison

__all__ = ["Compare"]


@dataclass(frozen=True)
class Compare:
    """Compares two reports, such as before and after a defence."""

    before: Positional[Path]
    """The first report: a report.json, or the folder that `loraleak audit` wrote."""
    after: Positional[Path]
    """The second report."""
    out: Annotated[Path | None, arg(aliases=("-o",))] = None
    """Page to write, as HTML."""
    overwrite: bool = False
    """Replace that page."""
    json: bool = False
    """Print the comparison as JSON on stdout."""

    def run(self) -> int:
        from loraleak.files import write_text
        from loraleak.outputs import check_new, save
        from loraleak.reporting import compare, read_report

        if self.out is not None:
            check_new(self.out, overwrite=self.overwrite)
        comparison = compare(read_report(self.before), read_report(self.after))
        if self.out is not None:
            save(self.out, lambda place: write_text(place, comparison.to_html()))
        print(json.dumps(comparison.to_json()) if self.json else "\n".join(_lines(comparison)))
        return 0


def _lines(comparison: "Comparison") -> list[str]:
    lines = [comparison.answer, *(f"  {sentence}" for sentence in comparison.evidence)]
    lines += [f"  be careful: {doubt}" for doubt in comparison.doubts]
    wide = 2 + max((len(printable(arm.name, 40)) for arm in comparison.arms), default=0)
    lines.append(f"{'arm':<{wide}}{'role':<10}{'recognised':>20}{'cosine':>16}")
    for arm in comparison.arms:
        both = (arm.before, arm.after)
        hits = " -> ".join("–" if told is None or told.hits is None else f"{told.hits} of {told.images}" for told in both)
        cosine = " -> ".join("–" if told is None else f"{told.similarity.mean:.2f}" for told in both)
        lines.append(f"{printable(arm.name, 40):<{wide}}{arm.role:<10}{hits:>20}{cosine:>16}")
    return lines
