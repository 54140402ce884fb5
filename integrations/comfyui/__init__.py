"""Two nodes for ComfyUI: what a LoRA file tells by itself, and a copy without private metadata.

ComfyUI loads this folder from `custom_nodes/`. It asks for no model and changes no file.
"""

from pathlib import Path
from typing import Any

import folder_paths  # ComfyUI's own

from loraleak import inspect_adapter, scrub
from loraleak.untrusted import printable

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]


class _OfOneLora:
    """A node with one input, a file of the folder `loras`. It runs again if the file has changed."""

    CATEGORY = "loraleak"
    RETURN_TYPES = ("STRING",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"lora_name": (folder_paths.get_filename_list("loras"),)}}

    @classmethod
    def IS_CHANGED(cls, lora_name: str) -> float:
        return _file(lora_name).stat().st_mtime


class InspectLora(_OfOneLora):
    """Text of all findings, the gravest first. Needs no model."""

    DESCRIPTION = "What the header of a LoRA file says about people, folders, captions and times."
    RETURN_NAMES = ("findings",)
    FUNCTION = "inspect"

    def inspect(self, lora_name: str) -> dict[str, Any]:
        found = inspect_adapter(_file(lora_name))
        low, high = found.ranks or (0, 0)
        base = found.family or "unknown base"
        lines = [f"{found.format}, {base}, {len(found.modules)} modules, ranks {low} to {high}"]
        lines += [f"{finding.severity}: {finding.field}: {finding.says}" for finding in found.findings]
        lines.append("A clean header does not make a file harmless: `loraleak audit` asks what the weights give away.")
        return _shown(*lines)


class ScrubLora(_OfOneLora):
    """A copy in ComfyUI's output folder. Its weights are bit by bit the same."""

    DESCRIPTION = "Writes a copy of a LoRA without private metadata. The weights stay the same."
    RETURN_NAMES = ("path",)
    FUNCTION = "scrub"

    def scrub(self, lora_name: str) -> dict[str, Any]:
        source = _file(lora_name)
        out = Path(folder_paths.get_output_directory()) / "loras" / f"{source.stem}-clean.safetensors"
        out.parent.mkdir(parents=True, exist_ok=True)
        scrub(source, out)
        return _shown(str(out))


def _file(lora_name: str) -> Path:
    return Path(folder_paths.get_full_path_or_raise("loras", lora_name))


def _shown(*lines: str) -> dict[str, Any]:
    text = "\n".join(printable(line, 400) for line in lines)
    return {"ui": {"text": [text]}, "result": (text,)}


NODE_CLASS_MAPPINGS = {"LoraleakInspect": InspectLora, "LoraleakScrub": ScrubLora}
NODE_DISPLAY_NAME_MAPPINGS = {
    "LoraleakInspect": "LoRA: what the file tells",
    "LoraleakScrub": "LoRA: copy without private metadata",
}
