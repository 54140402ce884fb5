"""Families of bases as data: the names of their layers in every layout, their widths, and what their files are told by.

In: names and shapes of layers. Out: which families they fit, and which layers they are. Reading order: `family` (what a table says),
the tables (`stable_diffusion`, `double_stream`, `single_stream`, `video`, `language`), `known`, `signature`.
"""

from loraleak.families.family import Family, Layer, Layout, NamedLayer
from loraleak.families.known import FAMILIES, titles
from loraleak.families.language import ENCODERS
from loraleak.families.signature import Named, families_of

__all__ = ["ENCODERS", "FAMILIES", "Family", "Layer", "Layout", "Named", "NamedLayer", "families_of", "titles"]
