"""Sentences of a report: what the adversary knew, what to do, and what the audit cannot say."""

from collections.abc import Sequence

from loraleak.adapters import header_findings
from loraleak.arms import Strength
from loraleak.auditing.audit_settings import AuditSettings
from loraleak.reporting import DefenceStudy, Verdict, conclusion
from loraleak.silence import FOUND_NOTHING
from loraleak.types import Adapter

__all__ = ["advice", "knowledge", "limits"]

_DECOYS = (
    "Or train again with decoys, other people in the same file (`finetune --defence decoys:people=DIR`). If their photos are "
    "like yours, a stranger cannot see which of them is real. Somebody who has a photo of the person still finds them."
)
_DECOYS_MEASURED = ("pocket",)
"""Bases on which decoys were measured."""


def knowledge(settings: AuditSettings, strength: Strength, *, reads_weights: bool) -> tuple[str, ...]:
    """Sentences on what the adversary had."""
    known = [
        "The adapter file, as you would publish it.",
        f"The public base model, {settings.base}.",
        f"The ordinary class prompt, “{settings.class_prompt}”; no trigger word and none of your photos.",
    ]
    if strength.says:
        known.append(strength.says)
    if reads_weights:
        known.append("An attack that learned to read adapters of other people, of the attacker's own making.")
    return tuple(known)


def advice(
    verdict: Verdict, adapter: Adapter, study: DefenceStudy | None, *, base: str, most_exposed: str = ""
) -> tuple[str, ...]:
    """Sentences on what the owner should do, by what this audit measured, on this base. `most_exposed` is the name of a photo."""
    sentences: list[str] = []
    if verdict.missing:
        sentences.append(verdict.missing)
    elif verdict.level == "high":
        sentences.append("Do not publish this file as it is.")
    elif verdict.level == "review":
        sentences.append("Look at the pictures before you publish. Would a friend recognise the person?")
    else:
        sentences.append(FOUND_NOTHING)
    if study is not None and study.recommended is not None:
        sentences.append(f"Apply {study.tried[study.recommended].defence}, and audit the file that it makes.")
    elif study is not None and verdict.level in ("review", "high"):
        sentences.append(conclusion(study))
        if base in _DECOYS_MEASURED:
            sentences.append(_DECOYS)
    if verdict.level in ("review", "high"):
        if study is None:
            sentences.append("Find out what each defence does to this file: run the audit again with --defences.")
        if most_exposed:
            sentences.append(
                f"Look at {most_exposed} first: of your photos, it is the one that these pictures come nearest to."
            )
    if header_findings(adapter.metadata):
        sentences.append("Remove the file's header before you share it: `loraleak scrub` does that.")
    return tuple(sentences)


def limits(
    adapter: Adapter,
    settings: AuditSettings,
    doubts: Sequence[str],
    *,
    reads_weights: bool,
    foreign_kit: str = "",
    stopped_after: int = 0,
) -> tuple[str, ...]:
    """Sentences on what the audit cannot say. `foreign_kit` names the base of a kit that was made for another checkpoint.
    `stopped_after` is the number of attacks after which an audit stopped, where it did."""
    sentences = [
        f"Similarity is what the embedder “{settings.embedder}” sees; people may judge otherwise.",
        f"{settings.images} pictures an arm: intervals are over pictures of this one adapter.",
    ]
    sentences += doubts
    if stopped_after:
        tried = "one attack" if stopped_after == 1 else f"{stopped_after} attacks"
        sentences.append(f"The audit stopped after {tried}, because its level was certain. What the others show is not known.")
    if foreign_kit:
        sentences.append(
            f"The kit was made for another checkpoint, {foreign_kit}. Its attack was tried on this one all the same, as a stranger "
            "would. Its control adapters say nothing about this checkpoint, so the verdict compares with other people alone."
        )
    if not reads_weights:
        sentences.append(
            "Only attacks that need no training on other people's adapters were run; attacks that read the weights may find more."
        )
    if not adapter.scale_known:
        sentences.append("The file does not say its scale (alpha); it was applied with a scale of 1.")
    if adapter.residue:
        sentences.append(f"{len(adapter.residue)} tensors of the file were not understood and not applied.")
    return tuple(sentences)
