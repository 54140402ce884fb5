"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bytes to tensors, within caps), `detect` (a tensor's layout), `peft` and `diffusers` (the layouts),
`load` (pairs, scales, residue), `header` (what the metadata give away), `write`.
"""

from loraleak.adapters.header import header_findings
from loraleak.adapters.load import load_adapter
from loraleak.adapters.write import save_adapter

__all__ = ["header_findings", "load_adapter", "save_adapter"]
