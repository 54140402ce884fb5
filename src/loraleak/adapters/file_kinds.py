"""What a file is that is no safetensors file, told by its first bytes, and what to do then."""

import re
from dataclasses import dataclass

__all__ = ["GIVE_SAFETENSORS", "FileKind", "kind_of"]

GIVE_SAFETENSORS = "give the LoRA as a .safetensors file"


@dataclass(frozen=True)
class FileKind:
    """One kind of file."""

    words: str
    """Words that follow "it is"."""
    remedy: str


_PICKLE = FileKind(
    "a pickle (.pt, .bin, .ckpt), which can run programs and is never opened",
    "if you made it yourself, convert it where it was trained with"
    " `safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'lora.safetensors')`;"
    " else ask its author for a .safetensors file",
)
_KINDS: tuple[tuple[re.Pattern[bytes], FileKind], ...] = tuple(
    (re.compile(start, re.IGNORECASE | re.DOTALL), kind)
    for start, kind in (
        (
            rb"version https://git-lfs\.",
            FileKind("a Git LFS pointer, which stands for the file", "fetch the file itself with `git lfs pull`"),
        ),
        (
            rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<body|<script|<!--)",
            FileKind("a web page", "download the file again: the page may ask to log in or to accept a licence"),
        ),
        (
            rb"(\xef\xbb\xbf)?\s*<(\?xml|Error)",
            FileKind("an XML text, which is often the error answer of a download", "download the file again"),
        ),
        (
            rb'\s*\{.*"(weight_map|metadata)"\s*:\s*\{',
            FileKind("the index of a model in several files", "give the .safetensors files that it names"),
        ),
        (
            rb"\s*[{\[]",
            FileKind(
                "a JSON text, which is often the error answer of a download",
                "open it and read what it says, then download again",
            ),
        ),
        (rb"GGUF", FileKind("a GGUF model", "give the LoRA that it was made from, as a .safetensors file")),
        (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP", FileKind("a picture", GIVE_SAFETENSORS)),
        (
            rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd",
            FileKind("a packed archive", "unpack it, and give the .safetensors file"),
        ),
        (rb"PK\x03\x04|\x80", _PICKLE),
    )
)


def kind_of(start: bytes) -> FileKind:
    """The kind of a file that is no safetensors file, from its first bytes."""
    for pattern, kind in _KINDS:
        if pattern.match(start):
            return kind
    text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
    return FileKind(f"no safetensors file but {'text' if text else 'another kind of file'}", GIVE_SAFETENSORS)
