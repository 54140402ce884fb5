"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bounded reading), `numbers` (bytes to numbers), `detect` (a tensor's layout), `layouts` (one file a
dialect), `shapes` (what a module's tensors make), `modules` (group, check, name by the tables of `loraleak.families`), `opening`;
`reduce` (LoHa, LoKr, LoCon to pairs), `reading` (one module after the other), `load`; `normal_form` (what a pair does, however it is
written), `family` (which base), `header` (what the metadata give away), `public` (what of them may be shared), `clean_copy` (a copy
without the rest), `write`.

Names load on first use: reading a file needs no torch, and opening it and copying it without its private fields need no numpy.
"""

from typing import TYPE_CHECKING

from loraleak.lazy import lazy

if TYPE_CHECKING:
    from loraleak.adapters.clean_copy import Scrubbed as Scrubbed
    from loraleak.adapters.clean_copy import backed_up as backed_up
    from loraleak.adapters.clean_copy import remarks as remarks
    from loraleak.adapters.clean_copy import removals as removals
    from loraleak.adapters.clean_copy import scrub_header as scrub_header
    from loraleak.adapters.clean_copy import scrub_in_place as scrub_in_place
    from loraleak.adapters.family import families_of_adapter as families_of_adapter
    from loraleak.adapters.header import header_findings as header_findings
    from loraleak.adapters.header import tensor_findings as tensor_findings
    from loraleak.adapters.load import load_adapter as load_adapter
    from loraleak.adapters.normal_form import ThinSvd as ThinSvd
    from loraleak.adapters.normal_form import pair_of as pair_of
    from loraleak.adapters.normal_form import thin_svd as thin_svd
    from loraleak.adapters.opening import is_one_adapter as is_one_adapter
    from loraleak.adapters.opening import locate as locate
    from loraleak.adapters.opening import open_adapter as open_adapter
    from loraleak.adapters.opening import open_loadable as open_loadable
    from loraleak.adapters.paths import adapter_paths as adapter_paths
    from loraleak.adapters.public import public_metadata as public_metadata
    from loraleak.adapters.reading import Update as Update
    from loraleak.adapters.reading import can_be_cut as can_be_cut
    from loraleak.adapters.reading import parts as parts
    from loraleak.adapters.reading import read_modules as read_modules
    from loraleak.adapters.write import Layout as Layout
    from loraleak.adapters.write import save_adapter as save_adapter

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "clean_copy": ["Scrubbed", "backed_up", "remarks", "removals", "scrub_header", "scrub_in_place"],
        "family": ["families_of_adapter"],
        "header": ["header_findings", "tensor_findings"],
        "load": ["load_adapter"],
        "normal_form": ["ThinSvd", "pair_of", "thin_svd"],
        "opening": ["is_one_adapter", "locate", "open_adapter", "open_loadable"],
        "paths": ["adapter_paths"],
        "public": ["public_metadata"],
        "reading": ["Update", "can_be_cut", "parts", "read_modules"],
        "write": ["Layout", "save_adapter"],
    },
)
