"""One photo file: what it is by its content, its picture, and the private facts that stand beside the picture."""

import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from loraleak.types import Picture

__all__ = ["IMAGE_SUFFIXES", "SIDE", "PhotoFile", "is_seen_as_image", "read_photo"]

SIDE = 1024
"""Shorter side, in pixels, to which larger photos are shrunk while they are read."""

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".gif", ".jp2", ".j2k"),
)
"""Endings of names that people take for images. What a file is, its content decides."""

_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
_OTHER_KINDS = {
    **dict.fromkeys(_RAW, "a camera's raw photo"),
    ".svg": "a drawing (SVG)",
    ".psd": "a Photoshop file",
    ".xcf": "a GIMP file",
    ".jxl": "a JPEG XL image",
    ".tga": "a Targa image",
    ".ico": "an icon",
    ".ppm": "a portable pixmap",
}
"""Kinds of images that are not read, by the ending of the name."""

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF", "JPEG2000")
_OF_SEVERAL = ("PNG", "WEBP", "GIF", "TIFF")
"""Formats whose further pictures are pages or frames, and not a phone's depth map."""

_NO_IMAGES = (
    (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
    (b"PK\x03\x04", "an archive, not an image"),
    (b"%PDF", "a PDF, not an image"),
    (b"<svg", "a drawing (SVG), which is not read: save it as JPEG or PNG"),
    (b"<?xml", "a text, not an image"),
    (b"<!doctype html", "a web page, not an image"),
    (b"<html", "a web page, not an image"),
    (b"8BPS", "a Photoshop file, which is not read: save it as JPEG or PNG"),
)

_HEAD = 64
_MAX_BYTES = 64 * 2**20
_MAX_PIXELS = 64 * 10**6
_LONGEST = 4
"""Longest side of a picture that was shrunk, in shorter sides."""

_MAKE, _MODEL, _DNG, _GPS, _EXIF = 0x010F, 0x0110, 0xC612, 0x8825, 0x8769
_OWNER, _SERIALS = (0x013B, 0xA430), (0xA431, 0xA435)


@dataclass(frozen=True)
class PhotoFile:
    """One image of a photo folder."""

    name: str
    """The file's name below the photo folder."""
    sha256: str
    picture: Picture
    repeats: int = 1
    """Times that it counts in fine-tuning, from the name of a kohya folder such as `10_sks person`."""
    frames: int = 1
    """Pictures in the file, of which the first is read."""
    tells_place: bool = False
    """Whether the file says where it was taken."""
    tells_device: bool = False
    """Whether the file names a camera, a phone, or their owner."""


def is_seen_as_image(file: Path) -> bool:
    """Whether people take a file for an image: by the ending of its name, or because its content is one."""
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in _OTHER_KINDS:
        return True
    try:
        with file.open("rb") as opened:
            return _has_signature(opened.read(_HEAD))
    except OSError:  # what nobody may read is no photo of theirs
        return False


def read_photo(file: Path, name: str, *, repeats: int = 1, side: int = SIDE) -> PhotoFile:
    """Read an image, upright and in RGB, its shorter side at most `side` pixels. Transparent parts become white.

    Raises: ValueError, with the reason, if it cannot be used; OSError, if it cannot be opened.
    """
    size = file.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES >> 20} MiB: save it smaller")
    data = file.read_bytes()
    _read_heif_too()
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":  # Pillow before 13 makes room for the canvas when it opens the file
        _refuse_large(*(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities in EXIF fields say nothing about the picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(BytesIO(data), formats=_FORMATS)
        except UnidentifiedImageError:
            raise ValueError(_why_no_image(data, file.suffix.lower())) from None
        with image:
            if image.format == "TIFF" and (file.suffix.lower() in _RAW or _DNG in image.getexif()):
                raise ValueError(_not_read(_OTHER_KINDS[".dng"]))
            _refuse_large(image.width, image.height)
            place, device = _private_facts(image)
            frames = _frames(image)
            image.draft(None, _shrunk_size(image.size, side))
            picture = np.asarray(_shrunk(_opaque(_eight_bits(ImageOps.exif_transpose(image))), side))
    return PhotoFile(name, hashlib.sha256(data).hexdigest(), picture, repeats, frames, place, device)


def _refuse_large(width: int, height: int) -> None:
    if width * height > _MAX_PIXELS:
        raise ValueError(f"{width} x {height} is more than {_MAX_PIXELS // 10**6} megapixels: save it smaller")


@cache
def _read_heif_too() -> None:
    """Register HEIC, the format of iPhones, with Pillow."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _has_signature(head: bytes) -> bool:
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"8BPS"))
        or head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\0\0\0\x0cJXL "))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124))
        or (
            head[4:8] == b"ftyp"
            and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
        )
    )


def _why_no_image(data: bytes, suffix: str) -> str:
    if not data:
        return "empty"
    if not data.strip(b"\0"):
        return "nothing but zeros: it was not copied or downloaded in full"
    start = data[:_HEAD].lstrip()
    for signature, reason in _NO_IMAGES:
        if start[: len(signature)].lower() == signature.lower():
            return reason
    if suffix in _OTHER_KINDS:
        return _not_read(_OTHER_KINDS[suffix])
    if data[4:8] == b"ftyp" and not _has_signature(data[:_HEAD]):
        return "a video, not an image"
    if data.startswith((b"\0\0\0\x0cJXL ", b"\xff\x0a")):
        return _not_read(_OTHER_KINDS[".jxl"])
    return "damaged: its first bytes are of an image, the rest is not" if _has_signature(data[:_HEAD]) else "not an image"


def _not_read(kind: str) -> str:
    return f"{kind}, which is not read: save it as JPEG or PNG"


def _private_facts(image: Image.Image) -> tuple[bool, bool]:
    """Whether the file tells a place, and whether it tells a device or its owner."""
    about = bytes(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode() or b"")
    try:
        exif = image.getexif()
        gps, detail = exif.get_ifd(_GPS), exif.get_ifd(_EXIF)
        place = any(gps.get(field) for field in (2, 4))
        device = any(exif.get(field) for field in (_MAKE, _MODEL, *_OWNER)) or any(
            detail.get(field) for field in (*_OWNER, *_SERIALS)
        )
    except Exception:  # noqa: BLE001 - damaged EXIF fails in any way, and the picture is good without it
        place = device = False
    return place or b"GPSLatitude" in about, device or b"tiff:Model" in about


def _frames(image: Image.Image) -> int:
    if image.format not in _OF_SEVERAL:
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - a damaged later frame says nothing about the first
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel. Pillow converts all other modes itself, and these wrongly."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit greyscale: save it with 8 bits")
    return image


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    # colours under transparent pixels are often black or rubbish; viewers show a white page there
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    size = _shrunk_size(image.size, side)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _shrunk_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / min(size), _LONGEST * side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
