"""What is written reads back; what cannot be read is one line that names the file."""

import hashlib
import json
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from loraleak.errors import PhotosError
from loraleak.people.avatars import Look, Person, render
from loraleak.people.captions import caption
from loraleak.people.folders import identity_folders, read_captions, read_photos, stray_images
from loraleak.people.splits import draw_people, split_of
from loraleak.people.styles import STYLES
from loraleak.people.writing import write_people

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def _encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _png(image: Image.Image | None = None) -> bytes:
    return _encoded(image or Image.fromarray(PIXELS), "PNG")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_with(kind: bytes, data: bytes) -> bytes:
    """A sound one, with a chunk before its pixels."""
    sound = _png()
    return sound[:33] + _chunk(kind, data) + sound[33:]


def _jpeg_that_claims(width: int, height: int) -> bytes:
    sound = bytearray(_encoded(Image.fromarray(PIXELS), "JPEG"))
    frame = sound.index(b"\xff\xc0")
    sound[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(sound)


def _webp_that_claims(width: int, height: int) -> bytes:
    """Its frame is of one size, and the canvas of another."""
    sound = _encoded(Image.fromarray(PIXELS), "WEBP", lossless=True)
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return sound[:4] + struct.pack("<I", len(sound) - 8 + len(canvas)) + b"WEBP" + canvas + sound[12:]


def _png_that_claims(width: int, height: int) -> bytes:
    """A few bytes whose header promises any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")


def _fault(folder: Path, *, whole: bool = False) -> str:
    with pytest.raises(PhotosError) as caught:
        read_photos(folder, whole=whole)
    message = str(caught.value)
    assert "\n" not in message and "object at" not in message
    return message


# ---- reading


def test_lossless_photos_come_back_pixel_for_pixel_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(_png())
    (tmp_path / "a.webp").write_bytes(_encoded(Image.fromarray(PIXELS[::-1]), "WEBP", lossless=True))
    (tmp_path / "a.txt").write_text("a caption")
    first, second = read_photos(tmp_path)
    assert (first.name, second.name) == ("a.webp", "b.png")
    assert np.array_equal(first.picture, PIXELS[::-1]) and np.array_equal(second.picture, PIXELS)
    assert second.sha256 == hashlib.sha256((tmp_path / "b.png").read_bytes()).hexdigest()
    assert read_photos(str(tmp_path))[1].sha256 == second.sha256


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    format = "JPEG" if mode == "CMYK" else "PNG"
    (tmp_path / f"x.{format.lower()}").write_bytes(_encoded(Image.fromarray(PIXELS).convert(mode), format))
    (photo,) = read_photos(tmp_path)
    assert photo.picture.shape == PIXELS.shape and photo.picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, PIXELS), (3, PIXELS[::-1, ::-1]), (6, np.rot90(PIXELS, -1)), (8, np.rot90(PIXELS)), (5, PIXELS.transpose(1, 0, 2))],
)
def test_photos_are_turned_upright_as_the_camera_says(tmp_path: Path, orientation: int, upright: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "turned.png").write_bytes(_encoded(Image.fromarray(PIXELS), "PNG", exif=exif))
    (photo,) = read_photos(tmp_path)
    assert np.array_equal(photo.picture, upright)


def test_transparency_becomes_white_whatever_hides_under_it(tmp_path: Path) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, 3:] = (200, 0, 0, 255)
    (tmp_path / "cut-out.png").write_bytes(_png(Image.fromarray(rgba)))
    indexed = Image.new("P", (2, 2), 1)
    indexed.putpalette([0, 0, 0, 9, 9, 9])
    (tmp_path / "palette.png").write_bytes(_encoded(indexed, "PNG", transparency=b"\xff\x00"))
    cut_out, palette = (photo.picture for photo in read_photos(tmp_path))
    assert (cut_out[:, :3] == 255).all()
    assert (cut_out[:, 3:] == (200, 0, 0)).all()
    assert (palette == 255).all()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.png", b"", "empty"),
        ("text.jpg", b"not an image", "not an image"),
        ("pointer.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("page.jpg", b"\n<!DOCTYPE html><html>", "a web page"),
        ("cloud.jpg", bytes(5000), "nothing but zeros"),
        ("video.jpg", b"\0\0\0\x18ftypmp42" + bytes(100), "a video"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "damaged"),
        ("camera.dng", _encoded(Image.fromarray(PIXELS), "TIFF"), "a camera's raw photo"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save it as JPEG or PNG"),
        ("broken-no-suffix", b"\xff\xd8\xff\xe0" + bytes(50), "damaged"),
        ("cut.png", _png()[:400], "truncated"),
        ("cut.jpg", _encoded(Image.fromarray(PIXELS), "JPEG")[:500], ""),
        ("chunk.png", _png()[:33] + b"\0\0\0\4\xff\1\2\3" + _png()[41:], ""),
        ("wide.png", _png_that_claims(8_100, 8_100), "8100 x 8100 is more than 64 megapixels"),
        ("bomb.png", _png_that_claims(12_000, 8_000), "decompression bomb"),
        ("great-bomb.png", _png_that_claims(60_000, 60_000), "decompression bomb"),
        ("bomb.jpg", _jpeg_that_claims(60_000, 60_000), "decompression bomb"),
        ("bomb.webp", _webp_that_claims(16_000, 16_000), "16000 x 16000 is more than 64 megapixels"),
        ("text.png", _png_with(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26))), "too large"),
    ],
)
def test_a_bad_image_is_named_with_its_reason(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "good.png").write_bytes(_png())
    photos = read_photos(tmp_path)
    assert [photo.name for photo in photos] == ["good.png"]
    assert [unused.name for unused in photos.unused] == [name] and says in photos.unused[0].reason
    assert photos.lines == (f"not used: {name}: {photos.unused[0].reason}",)
    (tmp_path / "good.png").unlink()
    for whole in (False, True):
        message = _fault(tmp_path, whole=whole)
        assert f"cannot use {tmp_path}: {name} (" in message and says in message
        assert message.endswith("mend or remove these images")


def test_whole_folders_are_refused_where_one_image_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(_png())
    (tmp_path / "bad.png").write_bytes(b"")
    assert "bad.png (empty)" in _fault(tmp_path, whole=True)
    (tmp_path / "bad.png").unlink()
    assert len(read_photos(tmp_path, whole=True)) == 1
    (missing,) = read_photos(tmp_path, only=("good.png", "gone.png")).unused
    assert missing.line == "gone.png: not there any more"


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.png", "PNG"),
        ("a.bmp", "BMP"),
        ("a.tif", "TIFF"),
        ("a.gif", "GIF"),
        ("a.jfif", "JPEG"),
        ("a.avif", "AVIF"),
        ("a.heic", "HEIF"),
        ("A.HEIC", "HEIF"),
        ("heic.jpg", "HEIF"),
        ("gif.png", "GIF"),
        ("no suffix", "JPEG"),
        ("notes.txt", "PNG"),
        ("a.jp2", "JPEG2000"),
    ],
)
def test_content_tells_what_is_an_image(tmp_path: Path, name: str, format: str) -> None:
    pillow_heif.register_heif_opener()
    plain = np.full((32, 48, 3), (200, 40, 90), np.uint8)
    (tmp_path / name).write_bytes(_encoded(Image.fromarray(plain), format))
    (photo,) = read_photos(tmp_path)
    assert photo.name == name and photo.picture.shape == plain.shape
    assert np.abs(photo.picture.astype(int) - plain).max() < 8


def test_a_text_that_begins_as_a_bitmap_does_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    (tmp_path / "a.txt").write_text("BMW in the background, sks person in front of it, smiling")
    photos = read_photos(tmp_path)
    assert len(photos) == 1 and photos.lines == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_a_channel_are_read(tmp_path: Path, channels: int) -> None:
    grey = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    deep = np.repeat(grey[:, :, None], channels, 2)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    head = struct.pack(">IIBBBBB", 64, 64, 16, 0 if channels == 1 else 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(png)
    (photo,) = read_photos(tmp_path)
    assert np.array_equal(photo.picture, np.repeat((grey >> 8).astype(np.uint8)[:, :, None], 3, 2))


def test_files_of_systems_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    for name in ("@eaDir", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(_png())
    photos = read_photos(tmp_path)
    assert [photo.name for photo in photos] == ["a.png"] and photos.lines == ()


def test_kohyas_folders_are_read_with_their_repeats(tmp_path: Path) -> None:
    for home, name in (("10_sks person", "a.png"), ("5_zwx", "b.png"), ("0_off", "c.png")):
        (tmp_path / home).mkdir()
        pixels = np.random.default_rng(ord(name[0])).integers(0, 256, (9, 9, 3), np.uint8)
        (tmp_path / home / name).write_bytes(_png(Image.fromarray(pixels)))
    photos = read_photos(tmp_path)
    assert [(photo.name, photo.repeats) for photo in photos] == [("10_sks person/a.png", 10), ("5_zwx/b.png", 5)]
    assert [id(picture) for picture in photos.repeated] == [id(photos[i].picture) for i in (0, 0, 1)]
    assert [unused.name for unused in photos.unused] == ["0_off/"]
    (tmp_path / "d.png").write_bytes(_png())
    assert [photo.name for photo in read_photos(tmp_path)] == ["10_sks person/a.png", "5_zwx/b.png", "d.png"]


def test_other_sub_folders_with_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "img" / "10_sks person").mkdir(parents=True)
    (tmp_path / "img" / "10_sks person" / "a.png").write_bytes(_png())
    (tmp_path / "log").mkdir()
    message = _fault(tmp_path)
    assert "its sub-folders do: img/ (1 image in a sub-folder)" in message and message.endswith("give one of them")
    (tmp_path / "b.png").write_bytes(_png())
    photos = read_photos(tmp_path)
    assert len(photos) == 1 and photos.lines == ("not used: img/: 1 image in a sub-folder",)


def test_masks_of_onetrainer_are_no_photos(tmp_path: Path) -> None:
    for name in ("a.png", "a-masklabel.png"):
        (tmp_path / name).write_bytes(_png())
    photos = read_photos(tmp_path)
    assert len(photos) == 1 and "a mask of OneTrainer" in photos.unused[0].reason


def test_exact_and_near_duplicates_are_told(tmp_path: Path) -> None:
    smooth = Image.fromarray(PIXELS[:4, :4]).resize((200, 150), Image.Resampling.BICUBIC)
    other = Image.fromarray(PIXELS[-4:, -4:]).resize((200, 150), Image.Resampling.BICUBIC)
    (tmp_path / "a.png").write_bytes(_png(smooth))
    (tmp_path / "b.png").write_bytes(_png(smooth))
    (tmp_path / "c.jpg").write_bytes(_encoded(smooth.resize((120, 90)), "JPEG", quality=70))
    (tmp_path / "d.png").write_bytes(_png(other))
    (remark,) = read_photos(tmp_path).remarks
    assert "The 4 photos show 2 different pictures: a.png, b.png, c.jpg are nearly one picture" in remark
    (tmp_path / "c.jpg").unlink()
    assert "a.png, b.png are one file" in read_photos(tmp_path).remarks[0]


def test_places_and_devices_are_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    exif[0x0110] = "PhoneMaker X"
    for i, format in enumerate(("JPEG", "PNG", "WEBP")):
        picture = Image.fromarray(np.roll(PIXELS, 7 * i))
        (tmp_path / f"{i}.{format.lower()}").write_bytes(_encoded(picture, format, exif=exif))
    photos = read_photos(tmp_path)
    assert all(photo.tells_place and photo.tells_device for photo in photos)
    assert "3 of them the place where they were taken and 3 of them the camera" in photos.remarks[0]


def test_damaged_exif_says_nothing_against_the_picture(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    (tmp_path / "a.jpg").write_bytes(_encoded(Image.fromarray(PIXELS), "JPEG", exif=exif))
    photos = read_photos(tmp_path)
    assert len(photos) == 1 and photos.lines == ()


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_photos_are_shrunk_while_they_are_read(tmp_path: Path, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    halves = Image.new("RGB", (2000, 1500), "red")
    halves.paste("blue", (1000, 0, 2000, 1500))
    (tmp_path / "a").write_bytes(_encoded(halves, format, exif=exif))
    photos = read_photos(tmp_path, side=150)
    height, width, _ = photos[0].picture.shape
    assert width == 150 and abs(height - 200) <= 1
    top, bottom = photos[0].picture[40, 75], photos[0].picture[160, 75]
    assert top[0] > 240 and bottom[2] > 240  # turned upright too
    (tmp_path / "a").write_bytes(_encoded(Image.new("RGB", (3000, 20)), format))
    assert read_photos(tmp_path, side=150)[0].picture.shape == (4, 600, 3)


def test_only_the_first_picture_of_a_moving_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, 30 * i)) for i in range(3)]
    (tmp_path / "a.gif").write_bytes(_encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    photos = read_photos(tmp_path)
    assert photos[0].frames == 3 and "a.gif (3)" in photos.remarks[0]


def test_damaged_bytes_are_read_or_refused_but_never_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    small = Image.fromarray(PIXELS[:8, :8])
    originals = [_encoded(small, format, exif=exif) for format in ("PNG", "JPEG", "WEBP")]
    refused = 0
    for attempt in range(400):
        data = bytearray(originals[attempt % 3])
        for place in rng.integers(min(len(data), 120), size=2):
            data[place] = rng.integers(256)
        (tmp_path / "damaged.png").write_bytes(bytes(data))
        try:
            read_photos(tmp_path)
        except PhotosError as error:
            refused += 1
            assert "damaged.png" in str(error)
    assert 0 < refused < 400


def test_all_faulty_files_are_told_at_once(tmp_path: Path) -> None:
    for i in range(7):
        (tmp_path / f"{i}.png").write_bytes(b"")
    message = _fault(tmp_path)
    assert "and 2 more faults: mend" in message
    assert all(f"{i}.png" in message for i in range(5))


def test_a_name_of_two_lines_still_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "two\nlines.png").write_bytes(b"")
    assert "two lines.png" in _fault(tmp_path)


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(_png())
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "photo.png").symlink_to(tmp_path / "secret.png")
    message = _fault(photos)
    assert (
        "photo.png is a link that leads out of the folder" in message
        and f"give the folder where they lie, {tmp_path}" in message
    )
    (tmp_path / "10_sks").mkdir()
    (tmp_path / "10_sks" / "a.png").write_bytes(_png())
    (photos / "photo.png").unlink()
    (photos / "10_sks").symlink_to(tmp_path / "10_sks")
    assert "10_sks is a link that leads out" in _fault(photos)


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(_png())
    (photos / "b.png").symlink_to("a.png")
    (tmp_path / "alias").symlink_to(photos)
    assert [photo.name for photo in read_photos(tmp_path / "alias")] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("folder", "a folder, not a file"),
        ("dangling", "a link to nothing"),
        ("loop", "a link to nothing"),
        ("pipe", "not a file"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str, says: str) -> None:
    path = tmp_path / "x.png"
    {
        "folder": path.mkdir,
        "dangling": lambda: path.symlink_to("nowhere.png"),
        "loop": lambda: path.symlink_to("x.png"),
        "pipe": lambda: os.mkfifo(path),
    }[kind]()
    assert f"x.png ({says})" in _fault(tmp_path)


def test_a_missing_folder_and_an_empty_one(tmp_path: Path) -> None:
    assert "does not exist" in _fault(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    assert "holds no image" in _fault(tmp_path)
    message = _fault(tmp_path / "notes.txt")
    assert "it is a file, and a folder is wanted" in message and message.endswith(f"such as {tmp_path}")
    (tmp_path / "photos.zip").write_bytes(b"PK")
    assert "unpack it" in _fault(tmp_path / "photos.zip")


def test_identity_folders_are_those_that_hold_images(tmp_path: Path) -> None:
    for name in ("b", "a", "empty", ".ipynb_checkpoints", "@eaDir", "10_kohya"):
        (tmp_path / name).mkdir()
    for name in ("a", "b", ".ipynb_checkpoints", "@eaDir", "10_kohya"):
        (tmp_path / name / "0.PNG").write_bytes(_png())
    (tmp_path / "c" / "10_sks person").mkdir(parents=True)
    (tmp_path / "c" / "10_sks person" / "0.jpg").write_bytes(_png())
    assert [folder.name for folder in identity_folders(tmp_path)] == ["10_kohya", "a", "b", "c"]
    assert stray_images(tmp_path) == []
    (tmp_path / "stray.png").write_bytes(_png())
    assert identity_folders(tmp_path)[0] == tmp_path and stray_images(tmp_path) == ["stray.png"]
    assert identity_folders(tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(PhotosError, match="holds no images"):
        identity_folders(tmp_path / "empty")
    with pytest.raises(PhotosError, match="does not exist"):
        identity_folders(tmp_path / "nowhere")


# ---- writing


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return draw_people("victims", 4, seed=0, styles=("avataaars", "toon-head"))


def test_written_people_read_back(tmp_path: Path, people: list[Person]) -> None:
    written = write_people(tmp_path, people, images=3, size=32, seed=0)
    assert written == identity_folders(tmp_path)
    for home, person in zip(written, people, strict=True):
        facts = json.loads((home / "person.json").read_text("utf-8"))
        assert Person(**facts["traits"]) == person
        assert facts["split"] == split_of(person) == "victims"
        assert facts["attributes"] == person.attributes()
        looks = [Look(**look) for look in facts["looks"]]
        photos = read_photos(home)
        assert [photo.name for photo in photos] == ["00.png", "01.png", "02.png"]
        for photo, look in zip(photos, looks, strict=True):
            assert np.array_equal(photo.picture, render(person, look, 32))
            assert (home / photo.name).with_suffix(".txt").read_text("utf-8") == caption(person, look) + "\n"


def test_equal_seeds_write_equal_bytes(tmp_path: Path, people: list[Person]) -> None:
    def contents(name: str, seed: int) -> dict[str, bytes]:
        write_people(tmp_path / name, people[:2], images=2, size=16, seed=seed)
        return {str(f.relative_to(tmp_path / name)): f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()}

    assert contents("one", 0) == contents("same", 0) != contents("other", 1)


def test_the_notice_credits_the_styles_that_were_drawn_and_no_other(tmp_path: Path, people: list[Person]) -> None:
    write_people(tmp_path, people, images=1, size=16, seed=0)
    notice = (tmp_path / "NOTICE").read_text("utf-8")
    for style in STYLES.values():
        drawn = style.name in {person.style for person in people}
        assert (style.credit in notice) is drawn and (style.licence in notice) is drawn


def test_captions_that_cannot_be_read_or_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(_png())
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    (folder / "a.txt").symlink_to(secret)
    with pytest.raises(PhotosError, match=r"a\.txt: it is a link that leads out of the folder"):
        read_captions(folder)
    (folder / "a.txt").unlink()
    for data, fault in ((b"\xff\xfe", "no UTF-8 text"), (b"x" * (2**16 + 1), "longer than 64 KiB")):
        (folder / "a.txt").write_bytes(data)
        with pytest.raises(PhotosError, match=fault):
            read_captions(folder)
    (folder / "a.txt").write_text("a  photo\nof anna")
    assert read_captions(folder) == ["a photo of anna"]
