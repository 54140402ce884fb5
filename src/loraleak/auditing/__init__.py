"""The audit. In: an adapter file, its owner's photos, settings. Out: a report.

Reading order: `audit_settings` (the options), `run` (the stages in their order), `loading` (load, check), `scoring` (embed,
score), `nulls` (other people, and adapters of other people), `positive_controls` (could it have found something?), `verdict`
(judge), `defences` (their effects on this adapter), `remarks` (further sentences of the report), `without_photos` (sampling
alone), `who` (one person, or none?). Names load on first use.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.auditing.audit_settings import AttackSettings as AttackSettings
    from loraleak.auditing.audit_settings import AuditSettings as AuditSettings
    from loraleak.auditing.nulls.controls import against_controls as against_controls
    from loraleak.auditing.nulls.other_people import OtherPeople as OtherPeople
    from loraleak.auditing.nulls.other_people import against_other_people as against_other_people
    from loraleak.auditing.nulls.sources import people_of as people_of
    from loraleak.auditing.nulls.sources import people_of_kit as people_of_kit
    from loraleak.auditing.run import audit as audit
    from loraleak.auditing.verdict import verdict_of as verdict_of
    from loraleak.auditing.without_photos import Attacked as Attacked
    from loraleak.auditing.without_photos import attack as attack

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "audit_settings": ["AttackSettings", "AuditSettings"],
        "nulls.controls": ["against_controls"],
        "nulls.other_people": ["OtherPeople", "against_other_people"],
        "nulls.sources": ["people_of", "people_of_kit"],
        "run": ["audit"],
        "verdict": ["verdict_of"],
        "without_photos": ["Attacked", "attack"],
    },
)
