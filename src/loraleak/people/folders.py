"""Folders of pictures: reading an owner's photos, writing synthetic identities."""

import hashlib
import warnings
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from loraleak.errors import PhotosError
from loraleak.files import write_bytes, write_json, write_text
from loraleak.people.avatars import Person, draw_look, render
from loraleak.people.captions import caption
from loraleak.people.splits import split_of
from loraleak.people.styles import STYLES
from loraleak.types import Picture
from loraleak.untrusted import encodable, printable

__all__ = ["IMAGE_SUFFIXES", "PhotoFile", "identity_folders", "read_captions", "read_photos", "write_people"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

_MAX_BYTES = 64 * 2**20
_MAX_PIXELS = 64 * 10**6
_MAX_CAPTION_BYTES = 2**16
_IDENTITIES = "give a folder of identities, people/<identity>/<image>.png"


@dataclass(frozen=True)
class PhotoFile:
    """One image of a photo folder."""

    name: str
    sha256: str
    picture: Picture


def read_photos(folder: str | Path, *, only: Collection[str] | None = None) -> list[PhotoFile]:
    """Read all images of a folder (or only those of these names), by name, upright and in RGB. Transparent parts become white.

    Raises: PhotosError, naming the faulty files together, if there is no folder, no image, or an image that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PhotosError(
            "it does not exist", path=folder, remedy="give the folder with the images that the LoRA was trained on"
        )
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and (only is None or f.name in only))
    if not files:
        raise PhotosError("it holds no image", path=folder, remedy="put the training photos there as jpg, png or webp")
    photos: list[PhotoFile] = []
    faults: list[str] = []
    for file in files:
        try:
            photos.append(_read(file, folder.resolve()))
        except Exception as error:  # noqa: BLE001 - decoders fail in any way on damaged files: SyntaxError, struct.error, ...
            faults.append(printable(" ".join(f"{file.name} ({str(error)[:120]})".split()), 400))
    if faults:
        raise PhotosError(*faults, path=folder, remedy="mend or remove these images")
    return photos


def identity_folders(folder: str | Path) -> list[Path]:
    """The sub-folders that hold images, by name; the folder itself where it holds images."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PhotosError("it does not exist", path=folder, remedy=_IDENTITIES)
    candidates = [folder, *sorted(f for f in folder.iterdir() if f.is_dir())]
    found = [f for f in candidates if any(i.suffix.lower() in IMAGE_SUFFIXES for i in f.iterdir())]
    if not found:
        raise PhotosError("it holds no images", path=folder, remedy=_IDENTITIES)
    return found


def read_captions(folder: str | Path) -> list[str]:
    """Read the captions in the `.txt` files beside a folder's images, by name. Images without one are passed over.

    Raises: PhotosError, if a caption is a link that leads out of the folder, no UTF-8, or longer than 64 KiB.
    """
    folder = Path(folder)
    images = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    files = [image.with_suffix(".txt") for image in images]
    return [_caption(file, folder.resolve()) for file in files if file.is_file()]


def _caption(file: Path, root: Path) -> str:
    fault = ""
    if not file.resolve().is_relative_to(root):
        fault = "it is a link that leads out of the folder"
    elif file.stat().st_size > _MAX_CAPTION_BYTES:
        fault = f"it is longer than {_MAX_CAPTION_BYTES >> 10} KiB"
    else:
        try:
            return " ".join(file.read_text("utf-8").split())
        except UnicodeDecodeError:
            fault = "it is no UTF-8 text"
    raise PhotosError(fault, path=encodable(str(file)), remedy="write the caption there, or remove the file")


def write_people(folder: Path, people: Sequence[Person], *, images: int, size: int, seed: int, first: int = 0) -> list[Path]:
    """Write `<folder>/<identity>/<n>.png`, a caption for each, traits in `person.json`, and a NOTICE of the licences.

    Identities are numbered from `first`. Looks are a function of the seed and that number.
    """
    written: list[Path] = []
    for index, person in enumerate(people, first):
        home = folder / f"{split_of(person)}-{index:04d}"
        looks = [draw_look(np.random.default_rng([seed, index, j]), person.style) for j in range(images)]
        for j, look in enumerate(looks):
            write_bytes(home / f"{j:02d}.png", _png(render(person, look, size)))
            write_text(home / f"{j:02d}.txt", caption(person, look) + "\n")
        facts = {
            "split": split_of(person),
            "traits": asdict(person),
            "attributes": person.attributes(),
            "looks": [asdict(look) for look in looks],
        }
        write_json(home / "person.json", facts)
        written.append(home)
    credits = {STYLES[person.style].name: STYLES[person.style] for person in people}
    lines = [f"{style.credit} ({style.licence}); rendered through DiceBear.\n" for style in credits.values()]
    write_text(folder / "NOTICE", "Synthetic people.\n" + "".join(lines))
    return written


def _png(picture: Picture) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _read(file: Path, root: Path) -> PhotoFile:
    if not file.is_file():
        raise ValueError("not a file")
    if not file.resolve().is_relative_to(root):
        raise ValueError("a link that leads out of the folder")
    if file.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES >> 20} MiB")
    data = file.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities in EXIF fields say nothing about the picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
        except UnidentifiedImageError:
            raise ValueError("not a JPEG, PNG or WebP image") from None
        with image:
            if image.width * image.height > _MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} is more than {_MAX_PIXELS // 10**6} megapixels")
            if image.mode.startswith("I"):
                raise ValueError("16-bit greyscale; save it with 8 bits")
            picture = np.asarray(_opaque(ImageOps.exif_transpose(image)))
    return PhotoFile(name=encodable(file.name), sha256=hashlib.sha256(data).hexdigest(), picture=picture)


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    # colours under transparent pixels are often black or rubbish; viewers show a white page there
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
