"""The zoo. In: identity folders. Out: a store of many people's adapters, with snapshots along their fine-tuning.

Reading order: `ranges` and `recipes` (what varies from person to person), `plan` (which adapters, in which shards), `places` and
`store` (where and how they are kept and read), `build` (how missing shards are made), `workers` and `cluster` (by whom), `capacity`
(how many adapters a batch).
"""
