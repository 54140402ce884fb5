"""Benches: from people to scores over many victims. In: settings, a folder to resume from. Out: intervals, figures.

Reading order: `bench_settings` (the options), `cases` (a victim: who, which pictures, which recipe), `doubles` (who is in two
folders), `runs` (adapters and what arms make of them, kept on disk), `arms` (every arm), `grid` (variants of fine-tuning),
`captioned` (is a model still of use?), `paper` (defences against attacks) with `pareto` (its tables and figure), `probe` (what
weights tell, without pictures), `leaks` (readers of weights that a kit can hold). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.bench.arms import bench_arms as bench_arms
    from loraleak.bench.bench_settings import ArmsBench as ArmsBench
    from loraleak.bench.bench_settings import LeaksSettings as LeaksSettings
    from loraleak.bench.bench_settings import PaperBench as PaperBench
    from loraleak.bench.bench_settings import ProbeSettings as ProbeSettings
    from loraleak.bench.bench_settings import SampleSettings as SampleSettings
    from loraleak.bench.cases import Case as Case
    from loraleak.bench.cases import CaseSettings as CaseSettings
    from loraleak.bench.cases import bench_cases as bench_cases
    from loraleak.bench.cases import draw_cases as draw_cases
    from loraleak.bench.cases import folder_cases as folder_cases
    from loraleak.bench.cases import person_on as person_on
    from loraleak.bench.cases import pictures as pictures
    from loraleak.bench.cases import templates as templates
    from loraleak.bench.doubles import Known as Known
    from loraleak.bench.doubles import know as know
    from loraleak.bench.doubles import refuse_known as refuse_known
    from loraleak.bench.doubles import tell_doubles as tell_doubles
    from loraleak.bench.grid import bench_grid as bench_grid
    from loraleak.bench.grid import draw_intensity as draw_intensity
    from loraleak.bench.grid import intensity as intensity
    from loraleak.bench.grid import transfer as transfer
    from loraleak.bench.leaks import bench_leaks as bench_leaks
    from loraleak.bench.paper import ROWS as ROWS
    from loraleak.bench.paper import bench_paper as bench_paper
    from loraleak.bench.paper import joined as joined
    from loraleak.bench.pareto import as_markdown as as_markdown
    from loraleak.bench.pareto import draw_pareto as draw_pareto
    from loraleak.bench.pareto import summaries as summaries
    from loraleak.bench.probe import probe_weights as probe_weights
    from loraleak.bench.runs import run_cases as run_cases

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "arms": ["bench_arms"],
        "bench_settings": ["ArmsBench", "LeaksSettings", "PaperBench", "ProbeSettings", "SampleSettings"],
        "cases": ["Case", "CaseSettings", "bench_cases", "draw_cases", "folder_cases", "person_on", "pictures", "templates"],
        "doubles": ["Known", "know", "refuse_known", "tell_doubles"],
        "grid": ["bench_grid", "draw_intensity", "intensity", "transfer"],
        "leaks": ["bench_leaks"],
        "paper": ["ROWS", "bench_paper", "joined"],
        "pareto": ["as_markdown", "draw_pareto", "summaries"],
        "probe": ["probe_weights"],
        "runs": ["run_cases"],
    },
)
