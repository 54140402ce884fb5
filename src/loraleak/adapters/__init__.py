"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bytes to tensors, within caps), `detect` (a tensor's layout), one module a layout (`peft`, `diffusers`,
`kohya`, `lycoris`, `comfyui`, `cloneofsimo`) over the tables of `layers`, `reduce` (LoHa, LoKr, LoCon to pairs), `modules` (group,
check, read), `load`; `normal_form` (what a pair does, however it is written), `family` (which base), `header` (what the metadata
give away), `public` (what of them may be shared), `scrub` (a copy without the rest), `write` and `write_kohya`.
"""

from loraleak.adapters.clean_copy import scrub_header
from loraleak.adapters.family import family_of
from loraleak.adapters.header import header_findings, tensor_findings
from loraleak.adapters.load import load_adapter, open_adapter
from loraleak.adapters.write import save_adapter

__all__ = [
    "family_of",
    "header_findings",
    "load_adapter",
    "open_adapter",
    "save_adapter",
    "scrub_header",
    "tensor_findings",
]
