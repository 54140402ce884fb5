"""Scrubbing of a file: always its header, and its weights where a post-hoc defence is asked for."""

from collections.abc import Collection
from pathlib import Path

from loraleak.adapters import Scrubbed, load_adapter, locate, public_metadata, remarks, removals, save_adapter, scrub_header
from loraleak.bases import DiffusersBase
from loraleak.defences.protocol import PostHoc
from loraleak.errors import AdapterError

__all__ = ["scrub"]


def scrub(
    path: str | Path,
    out: str | Path,
    *,
    defence: PostHoc | None = None,
    base: DiffusersBase | None = None,
    keep: Collection[str] = (),
) -> Scrubbed:
    """Write a copy without private metadata. A defence changes its weights too.

    Without a defence the tensors are bit by bit those of the file (see `scrub_header`). With one, `out` is written as by
    `save_adapter`: a .safetensors file in diffusers layout, or a folder in PEFT layout.
    Raises: AdapterError, if the file cannot be used, or holds tensors that a defence would lose; UsageError, if the defence needs a
    base that is not there, or `keep` names a field that is not there.
    """
    if defence is None:
        return scrub_header(path, out, keep)
    out = Path(out)
    adapter = load_adapter(path)
    if adapter.residue:
        raise AdapterError(
            f"{len(adapter.residue)} tensors of the file are not understood, the first {adapter.residue[0]}: a defence would "
            "leave them out and change what the file does; scrub it without --defence"
        )
    defended = defence.apply(adapter, base)
    metadata, removed = public_metadata(adapter.metadata, keep)
    # the container's class names number tensors of the old layout
    metadata = {field: value for field, value in metadata.items() if not field.startswith(("unet", "text_encoder"))}
    save_adapter(
        type(defended)(factors=defended.factors, format=defended.format, metadata=metadata),
        out,
        "diffusers" if out.suffix == ".safetensors" else "peft",
    )
    written = load_adapter(out)
    return Scrubbed(
        removed=removals(adapter.metadata, removed),
        kept=tuple(sorted(written.metadata)),
        remarks=remarks((), locate(Path(path)), folder=Path(path).is_dir()),
        tensors=2 * len(written.factors),
        sha256_before=adapter.sha256,
        sha256_after=written.sha256,
    )
