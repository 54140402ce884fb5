"""Photo folders as people have them: which files are photos, which are not used and why, and what else the owner should know."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from loraleak.errors import PhotosError
from loraleak.people.photos import IMAGE_SUFFIXES, SIDE, PhotoFile, is_seen_as_image, read_photo
from loraleak.types import Picture
from loraleak.untrusted import encodable, printable

__all__ = ["PhotoFolder", "Unused", "identity_folders", "list_photos", "read_captions", "read_photos", "stray_images"]

_WANTED = "put the training photos there as JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
_IDENTITIES = "give a folder of identities, people/<identity>/<image>.png"

_SYSTEM = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "@eadir",
    "__macosx",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "__pycache__",
}
"""Names of what systems and tools leave in folders, besides those that begin with a dot."""

_KOHYA = re.compile(r"(\d{1,3})_.*")
"""Names of kohya's folders: how often each photo counts, then what it shows."""

_MASKS = ("-masklabel", "-condlabel")
"""Endings of the names of OneTrainer's masks, which stand beside the photos."""

_MOST_COPIES = 24
"""Most copies of one picture in a training set. Larger proportions of kohya's folders are rounded to it."""

_MAX_CAPTION_BYTES = 2**16
_SHOWN = 5
_THUMB = 16
_SAME = 5.0
"""Largest root mean square difference, in levels of 255, of two thumbnails of one picture that was saved twice."""


@dataclass(frozen=True)
class Unused:
    """An image, or a folder of images, that is not used."""

    name: str
    reason: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a sub-folder."""
        return self.name.endswith("/")

    @property
    def line(self) -> str:
        """The name and the reason, fit to be printed."""
        return printable(" ".join(f"{self.name}: {self.reason}".split()), 400)


@dataclass(frozen=True)
class PhotoFolder(Sequence[PhotoFile]):
    """The photos of a folder, by name, and the images in it that are not used."""

    photos: tuple[PhotoFile, ...]
    unused: tuple[Unused, ...] = ()

    @overload
    def __getitem__(self, index: int) -> PhotoFile: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PhotoFile, ...]: ...
    def __getitem__(self, index: int | slice) -> PhotoFile | tuple[PhotoFile, ...]:
        return self.photos[index]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def repeated(self) -> list[Picture]:
        """The pictures, each as often as its kohya folder asks for, in proportion to the others."""
        least = gcd(*(photo.repeats for photo in self.photos))
        most = max(photo.repeats for photo in self.photos) // least
        scale = min(1.0, _MOST_COPIES / most) / least
        return [photo.picture for photo in self.photos for _ in range(max(1, round(photo.repeats * scale)))]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the owner on duplicates, further frames, places and devices."""
        return (*_on_duplicates(self.photos), *_on_frames(self.photos), *_on_facts(self.photos))

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines for stderr: what is not used, then the remarks."""
        return (*(f"not used: {unused.line}" for unused in self.unused), *self.remarks)


def read_photos(
    folder: str | Path, *, only: Collection[str] | None = None, side: int = SIDE, whole: bool = False
) -> PhotoFolder:
    """Read all images of a folder (or only those of these names), by name, upright and in RGB. Transparent parts become white.

    Content tells what is an image. kohya's folders, such as `10_sks person`, are read with it. Pictures whose shorter side is longer
    than `side` are shrunk.
    Raises: PhotosError, naming all faulty files, if there is no folder, no image that can be used, or a link that leads out of it;
    if `whole`, also if one image cannot be used.
    """
    folder = Path(folder)
    listing = list_photos(folder)
    wanted = [listed for listed in listing.images if only is None or listed.name in only]
    photos: list[PhotoFile] = []
    unused = list(listing.unused) if only is None else [Unused(name, "not there any more") for name in listing.missing(only)]
    for listed in wanted:
        try:
            photos.append(read_photo(listed.path, listed.name, repeats=listed.repeats, side=side))
        except Exception as error:  # noqa: BLE001 - decoders fail in any way on damaged files: SyntaxError, struct.error, ...
            unused.append(Unused(listed.name, str(error)[:160] or "damaged"))
    if photos and not (whole and any(not u.is_folder for u in unused)):
        return PhotoFolder(tuple(photos), tuple(unused))
    if listing.unused and not wanted and all(u.is_folder for u in listing.unused):
        inside = ", ".join(printable(f"{unused.name} ({unused.reason})") for unused in listing.unused[:_SHOWN])
        raise PhotosError(f"it holds no image itself, its sub-folders do: {inside}", path=folder, remedy="give one of them")
    if unused:
        faults = [printable(" ".join(f"{u.name} ({u.reason})".split()), 400) for u in unused]
        raise PhotosError(*faults, path=folder, remedy="mend or remove these images")
    raise PhotosError("it holds no image", path=folder, remedy=_WANTED)


def identity_folders(folder: str | Path) -> list[Path]:
    """The sub-folders that hold images, by name; the folder itself, first, where it holds images. Those of systems are passed over."""
    folder = Path(folder)
    if not folder.exists():
        raise PhotosError("it does not exist", path=folder, remedy=_IDENTITIES)
    if not folder.is_dir():
        raise PhotosError("it is a file, and a folder is wanted", path=folder, remedy=_IDENTITIES)
    own = [folder] if stray_images(folder) else []
    found = [*own, *(f for f in _entries(folder) if f.is_dir() and _holds_photos(f))]
    if not found:
        raise PhotosError("it holds no images", path=folder, remedy=_IDENTITIES)
    return found


def stray_images(folder: Path) -> list[str]:
    """Names of the images that stand in a folder itself."""
    return [encodable(file.name) for file in _entries(folder) if file.is_file() and is_seen_as_image(file)]


def read_captions(folder: str | Path) -> list[str]:
    """Read the captions in the `.txt` files beside a folder's images, by name. Images without one are passed over.

    Raises: PhotosError, if a caption is a link that leads out of the folder, no UTF-8, or longer than 64 KiB.
    """
    folder = Path(folder)
    files = [listed.path.with_suffix(".txt") for listed in list_photos(folder).images]
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


@dataclass(frozen=True)
class Listed:
    """One image that will be read."""

    path: Path
    name: str
    """Its name below the folder."""
    repeats: int = 1


@dataclass(frozen=True)
class Listing:
    """What a photo folder holds, before any image is decoded."""

    images: tuple[Listed, ...]
    unused: tuple[Unused, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images, in order."""
        return tuple(listed.name for listed in self.images)

    def missing(self, names: Collection[str]) -> list[str]:
        """Those of these names that are not there."""
        return sorted(set(names) - set(self.names))


def list_photos(folder: Path) -> Listing:
    """List the images of a folder and of kohya's folders in it, and what looks like an image and is none that we read.

    Raises: PhotosError, if there is no folder, or if links lead out of it.
    """
    if not folder.exists():
        raise PhotosError(
            "it does not exist", path=folder, remedy="give the folder with the images that the LoRA was trained on"
        )
    if not folder.is_dir():
        kind = "an archive: unpack it" if folder.suffix.lower() in (".zip", ".tar", ".gz", ".7z", ".rar") else "a file"
        raise PhotosError(
            f"it is {kind}, and a folder is wanted",
            path=folder,
            remedy=f"give the folder of the photos, such as {folder.parent}",
        )
    root = folder.resolve()
    images: list[Listed] = []
    unused: list[Unused] = []
    outside: list[Path] = []
    for entry in _entries(folder):
        if not entry.is_dir():
            _sort_file(entry, Listed(entry, encodable(entry.name)), root, images, unused, outside)
        elif kohya := _KOHYA.fullmatch(entry.name):
            repeats, home = int(kohya[1]), encodable(entry.name)
            if repeats and not entry.resolve().is_relative_to(root):
                outside.append(entry)
                continue
            inside = [file for file in _entries(entry) if not file.is_dir()]
            if not repeats:
                count = sum(file.is_file() and is_seen_as_image(file) for file in inside)
                unused += [Unused(f"{home}/", f"{_images(count)}, which count 0 times")] if count else []
                continue
            for file in inside:
                _sort_file(file, Listed(file, f"{home}/{encodable(file.name)}", repeats), root, images, unused, outside)
        elif not root.is_relative_to(entry.resolve()) and (count := _count_below(entry)):
            unused.append(Unused(f"{encodable(entry.name)}/", f"{_images(count)}"))
        elif entry.suffix.lower() in IMAGE_SUFFIXES:
            unused.append(Unused(encodable(entry.name), "a folder, not a file"))
    if outside:
        shown = ", ".join(printable(encodable(path.name), 60) for path in outside[:_SHOWN])
        more = f" and {len(outside) - _SHOWN} more" if len(outside) > _SHOWN else ""
        target = printable(encodable(str(outside[0].resolve().parent)), 200)
        verb = "is a link that leads" if len(outside) == 1 else "are links that lead"
        raise PhotosError(
            f"{shown}{more} {verb} out of the folder",
            path=folder,
            remedy=f"copy the photos themselves into it (cp -L), or give the folder where they lie, {target}",
        )
    return Listing(tuple(images), tuple(unused))


def _sort_file(file: Path, listed: Listed, root: Path, images: list[Listed], unused: list[Unused], outside: list[Path]) -> None:
    """Put one file where it belongs. What is no image for anybody belongs nowhere."""
    named_as_image = file.suffix.lower() in IMAGE_SUFFIXES
    if file.is_symlink() and file.exists() and not file.resolve().is_relative_to(root):
        if named_as_image or (file.is_file() and is_seen_as_image(file)):
            outside.append(file)
    elif not file.is_file():
        if named_as_image:
            unused.append(Unused(listed.name, "a link to nothing" if file.is_symlink() else "not a file"))
    elif file.stem.endswith(_MASKS) and named_as_image:
        unused.append(Unused(listed.name, "a mask of OneTrainer, not a photo"))
    elif is_seen_as_image(file):
        images.append(listed)


def _entries(folder: Path) -> list[Path]:
    """What a person sees in a folder, by name."""
    return sorted(f for f in folder.iterdir() if not f.name.startswith((".", "~$")) and f.name.lower() not in _SYSTEM)


def _holds_photos(folder: Path) -> bool:
    homes = (folder, *(f for f in _entries(folder) if f.is_dir() and _KOHYA.fullmatch(f.name)))
    return any(file.is_file() and is_seen_as_image(file) for home in homes for file in _entries(home))


def _count_below(folder: Path, depth: int = 4) -> int:
    """Number of images in a folder and below it, by their names. Links in it are not followed."""
    try:
        entries = _entries(folder)
    except PermissionError:
        return 0
    here = sum(f.suffix.lower() in IMAGE_SUFFIXES and f.is_file() for f in entries)
    return here + (sum(_count_below(f, depth - 1) for f in entries if f.is_dir() and not f.is_symlink()) if depth else 0)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'} in a sub-folder"


def _on_duplicates(photos: Sequence[PhotoFile]) -> Iterator[str]:
    groups = [group for group in _alike(photos) if len(group) > 1]
    if groups:
        named = "; ".join(
            f"{', '.join(printable(photo.name, 60) for photo in group[:_SHOWN])}{' and more' if len(group) > _SHOWN else ''}"
            f" {'are one file' if len({photo.sha256 for photo in group}) == 1 else 'are nearly one picture'}"
            for group in groups[:_SHOWN]
        )
        more = f"; and {len(groups) - _SHOWN} more groups" if len(groups) > _SHOWN else ""
        different = len(photos) - sum(len(group) - 1 for group in groups)
        pictures = "one picture" if different == 1 else f"{different} different pictures"
        yield f"The {len(photos)} photos show {pictures}: {named}{more}."


def _alike(photos: Sequence[PhotoFile]) -> list[list[PhotoFile]]:
    """The photos in groups of one picture, each with the first photo that it is like."""
    thumbs = [_thumb(photo) for photo in photos]
    groups: list[list[int]] = []
    for i, photo in enumerate(photos):
        same = next(
            (
                group
                for group in groups
                if photos[group[0]].sha256 == photo.sha256
                or float(np.sqrt(np.square(thumbs[group[0]] - thumbs[i]).mean())) < _SAME
            ),
            None,
        )
        if same is None:
            groups.append([i])
        else:
            same.append(i)
    return [[photos[i] for i in group] for group in groups]


def _thumb(photo: PhotoFile) -> np.ndarray:
    small = Image.fromarray(photo.picture).resize((_THUMB, _THUMB), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float32)


def _on_frames(photos: Sequence[PhotoFile]) -> Iterator[str]:
    several = [photo for photo in photos if photo.frames > 1]
    if several:
        named = ", ".join(f"{printable(photo.name, 60)} ({photo.frames})" for photo in several[:_SHOWN])
        yield f"Only the first picture is used of files that hold several: {named}{' and more' if len(several) > _SHOWN else ''}."


def _on_facts(photos: Sequence[PhotoFile]) -> Iterator[str]:
    told = Counter[str]()
    for photo in photos:
        told.update(
            {"the place where they were taken": photo.tells_place, "the camera, the phone or its owner": photo.tells_device}
        )
    facts = [f"{count} of them {what}" for what, count in told.items() if count]
    if facts:
        yield (
            f"The photo files tell more than they show: {' and '.join(facts)} (EXIF). This stands in the photos, not in the adapter: "
            "remove it before you share the photos."
        )
