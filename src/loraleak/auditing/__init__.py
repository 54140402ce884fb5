"""The audit. In: an adapter file, its owner's photos, settings. Out: a report.

Reading order: `run` (the stages in their order), `loading` (load, check), `scoring` (embed, score), `verdict` (judge), `controls`
(adapters of other people, a null of the verdict), `defences` (what defences do to this adapter), `remarks` (what the report says
besides), `without_photos` (sampling alone).
"""
