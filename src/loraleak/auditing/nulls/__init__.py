"""Nulls of the verdict. In: embedded pictures of one adapter, embedded photos. Out: a p-value and what it compares with.

`controls` ranks the adapter among adapters of other people. `other_people` ranks the owner among other people. `sources` finds
those people; `looks` tests several times, so that an audit can stop early; `drawn` lets the base draw them.
"""
