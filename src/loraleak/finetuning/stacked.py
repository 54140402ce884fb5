"""DreamBooth LoRA of many people at once: K adapters in one forward and one backward pass a step over one frozen base."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loraleak.bases import DiffusersBase
from loraleak.errors import TrainingError, UsageError
from loraleak.finetuning.job import Job
from loraleak.finetuning.trainer import Trainer
from loraleak.progress import progress_bar
from loraleak.types import Adapter

__all__ = ["Job", "Snapshot", "finetune_together"]


@dataclass(frozen=True)
class Snapshot:
    """The adapter of `jobs[job]` after `step` steps."""

    job: int
    step: int
    adapter: Adapter


def finetune_together(
    base: DiffusersBase,
    jobs: Sequence[Job],
    *,
    quiet: bool = False,
    trainer: Callable[[DiffusersBase, Sequence[Job]], Trainer] = Trainer,
) -> Iterator[Snapshot]:
    """Train one adapter for each job (Ruiz et al. 2023; Hu et al. 2022), and give snapshots as they come.

    Everything frozen is computed once: latents, class images, text states. An adapter depends on its own job alone, because its
    randomness is a function of its recipe's seed and the step. `trainer` makes the steps: the recipe's, or a defence's.

    Raises: UsageError, if jobs differ in what one batch must share; TrainingError, at the first loss of a single adapter that is not
    finite. Many adapters train on, because one that diverges says nothing about the others.
    """
    shared = {(r.batch, r.prior_batch, r.text_encoder, r.targets) for r in (job.recipe for job in jobs)}
    if len(shared) != 1:
        raise UsageError("adapters that train together must share batch, prior_batch, text_encoder and targets")
    order = sorted(range(len(jobs)), key=lambda k: -jobs[k].recipe.steps)
    state = trainer(base, [jobs[k] for k in order])
    longest = jobs[order[0]].recipe.steps
    checkpoints = jobs[0].checkpoints if len(jobs) == 1 else None
    begun = 0 if checkpoints is None else state.resume(checkpoints)
    if begun >= longest:
        yield Snapshot(0, begun, Adapter(factors=state.stack.factors(0), format="memory"))
    with progress_bar(hidden=quiet) as bar:
        task = bar.add_task("fine-tuning", total=longest, figures="", completed=begun)
        for step in range(begun + 1, longest + 1):
            loss = state.step(step)
            if len(jobs) == 1 and not math.isfinite(loss):
                kept = checkpoints.kept if checkpoints is not None else ""
                raise TrainingError(
                    f"the loss is {loss} at step {step}, so the training has stopped",
                    remedy=f"give a lower --learning-rate{f'; {kept}' if kept else ''}",
                )
            if checkpoints is not None:
                checkpoints.keep(step, state.tensors)
            bar.update(task, advance=1, figures=f"loss {loss:.3f}")
            for row, k in enumerate(order[: len(state.stack)]):
                if step == jobs[k].recipe.steps or step in jobs[k].snapshots:
                    yield Snapshot(k, step, Adapter(factors=state.stack.factors(row), format="memory"))
            going = sum(job.recipe.steps > step for job in jobs)
            if 0 < going < len(state.stack):
                state.keep(going)
