"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bytes to tensors, within caps), `detect` (a tensor's layout), `layouts` (one file a dialect) over the
tables of `layers`, `reduce` (LoHa, LoKr, LoCon to pairs), `modules` (group, check, read), `load`; `normal_form` (what a pair does,
however it is written), `family` (which base), `header` (what the metadata give away), `public` (what of them may be shared),
`clean_copy` (a copy without the rest), `write`.
"""

from loraleak.adapters.clean_copy import Scrubbed, backed_up, remarks, removals, scrub_header
from loraleak.adapters.family import FAMILY_TITLES, Family, family_of
from loraleak.adapters.header import header_findings, tensor_findings
from loraleak.adapters.load import load_adapter, locate, open_adapter
from loraleak.adapters.modules import Update, read_modules
from loraleak.adapters.normal_form import ThinSvd, pair_of, thin_svd
from loraleak.adapters.public import public_metadata
from loraleak.adapters.write import Layout, save_adapter

__all__ = [
    "FAMILY_TITLES",
    "Family",
    "Layout",
    "Scrubbed",
    "ThinSvd",
    "Update",
    "backed_up",
    "family_of",
    "header_findings",
    "load_adapter",
    "locate",
    "open_adapter",
    "pair_of",
    "public_metadata",
    "read_modules",
    "remarks",
    "removals",
    "save_adapter",
    "scrub_header",
    "tensor_findings",
    "thin_svd",
]
