"""Pictures on disk: one file each, and a sheet with one labelled row for each arm."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from loraleak.files import write_bytes
from loraleak.types import Images

__all__ = ["sheet", "write_pictures"]

_TILE, _GAP, _LABEL = 128, 6, 190
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def write_pictures(rows: Mapping[str, Images], folder: Path) -> None:
    """Write `<folder>/<row>/<n>.png` and `<folder>/sheet.png`."""
    for name, images in rows.items():
        for i, image in enumerate(images):
            write_bytes(folder / name / f"{i}.png", _png(Image.fromarray(image)))
    write_bytes(folder / "sheet.png", _png(sheet(rows)))


def sheet(rows: Mapping[str, Images]) -> Image.Image:
    """A sheet with one row for each name, its pictures side by side."""
    widest = max(len(images) for images in rows.values())
    size = (_LABEL + widest * (_TILE + _GAP), len(rows) * (_TILE + _GAP) + _GAP)
    canvas = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(18)
    for row, (name, images) in enumerate(rows.items()):
        top = _GAP + row * (_TILE + _GAP)
        draw.text((12, top + _TILE // 2), name, fill=_INK, font=font, anchor="lm")
        for column, image in enumerate(images):
            tile = Image.fromarray(image).resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            canvas.paste(tile, (_LABEL + column * (_TILE + _GAP), top))
    return canvas


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
