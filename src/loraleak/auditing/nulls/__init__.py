"""Nulls of the verdict. In: embedded pictures of one adapter, embedded photos. Out: a p-value and what it compares with.

`controls`: the adapter among adapters of other people. `other_people`: the owner among other people. `sources`: where those other
people come from, `drawn` if the base itself has to draw them.
"""
