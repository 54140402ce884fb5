"""Adapters. In: a LoRA file or PEFT folder of any layout that we know. Out: one `Adapter`, findings on its header, files again.

Reading order: `container` (bytes to tensors, within caps), `detect` (a tensor's layout), one module a layout (`peft`, `diffusers`,
`kohya`, `lycoris`, `comfyui`, `cloneofsimo`) over the tables of `layers`, `reduce` (LoHa, LoKr, LoCon to pairs), `modules` (group,
check, read), `load`; `family` (which base), `header` (what the metadata give away), `write` and `write_kohya`.
"""

from loraleak.adapters.family import family_of
from loraleak.adapters.header import header_findings, tensor_findings
from loraleak.adapters.load import load_adapter, open_adapter
from loraleak.adapters.write import save_adapter

__all__ = ["family_of", "header_findings", "load_adapter", "open_adapter", "save_adapter", "tensor_findings"]
