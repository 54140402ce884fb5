"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bytes to tensors, within caps), `detect` (a tensor's layout), `peft` and `diffusers` (the layouts),
`load` (pairs, scales, residue), `normal_form` (what a pair does, however it is written), `header` (what the metadata give away),
`public` (what of them may be shared), `scrub` (a copy without the rest), `write`.
"""

from loraleak.adapters.header import header_findings
from loraleak.adapters.load import load_adapter
from loraleak.adapters.scrub import scrub_header
from loraleak.adapters.write import save_adapter

__all__ = ["header_findings", "load_adapter", "save_adapter", "scrub_header"]
