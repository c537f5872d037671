"""Files made to stall `read_image` or to fill its memory, and samples that are easily misread."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mfr.decoding_cost import MAX_SCANS
from mfr.errors import ImageError
from mfr.images import MAX_JPEG2000_PIXELS, image_size, read_image

SIDE = 7000  # 49 megapixels: just allowed


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left side is the photo's top
    return exif


def jpeg_with_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of ``scans`` scans: the encoder's ten and copies of an empty one."""
    data = encode(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    pieces = data[:-2].split(b"\xff\xda")
    # Of its scans, one with AC coefficients of a single component.
    again = next(piece for piece in pieces[1:] if piece[2] == 1 and piece[-6] > 0)
    again = again.partition(b"\xff\xc4")[0]
    more = scans - (len(pieces) - 1)
    return data[:-2] + (b"\xff\xda" + again) * more + b"\xff\xd9"


def tiff_pages(pages: int) -> bytes:
    tags = [
        *((256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64)),
    ]
    entries = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    size = len(entries) + 4
    following = [8 + (page + 1) * size for page in range(pages - 1)] + [0]
    return b"II*\0\x08\0\0\0" + b"".join(entries + struct.pack("<I", to) for to in following)


def between_start_and_rest(kind: str, start: int, filling: bytes) -> bytes:
    data = encode(Image.new("RGB", (8, 8)), kind)
    return data[:start] + filling + data[start:]


COSTLY = {
    "scans": lambda: jpeg_with_scans(64, MAX_SCANS + 1),
    "fill": lambda: between_start_and_rest("JPEG", 2, b"\xff" * 3_000_000),
    "segments": lambda: between_start_and_rest("JPEG", 2, b"\xff\xe9\0\2" * 500_000),
    "comment": lambda: b"P6\n#" + b"x" * 3_000_000 + b"\n4 4 255\n" + bytes(48),
    "runs": lambda: (
        encode(Image.new("P", (2000, 2000)), "BMP")[:30]
        + struct.pack("<I", 1)
        + encode(Image.new("P", (2000, 2000)), "BMP")[34:1078]
        + b"\1\0" * 1_000_000
    ),
    "blocks": lambda: (
        encode(Image.new("P", (8, 8)), "GIF").partition(b",")[0]
        + b"!\xfe"
        + b"\1x" * 1_500_000
        + b"\0,"
        + encode(Image.new("P", (8, 8)), "GIF").partition(b",")[2]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COSTLY)
def test_files_that_would_stall_a_decoder_are_refused(kind):
    with pytest.raises(ImageError, match="would take far longer to decode") as error:
        read_image(COSTLY[kind]())
    assert "\n" not in str(error.value)


def test_as_many_scans_as_are_allowed_are_decoded():
    assert read_image(jpeg_with_scans(64, MAX_SCANS)).shape == (64, 64, 3)


def test_what_looks_like_scans_behind_or_within_a_photo_is_not_counted():
    plain = encode(Image.new("RGB", (8, 8), "red"), "JPEG")
    thumbnail = b"\xff\xda" * 500
    profile = b"\xff\xe2" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    film = b"\xff\xda\0\2" * 5000
    found = read_image(plain[:2] + profile + plain[2:] + film)
    np.testing.assert_array_equal(found, read_image(plain))


def test_only_a_second_page_is_looked_for():
    with pytest.raises(ImageError, match="several frames or pages"):
        read_image(tiff_pages(40_000))  # counting them took some forty seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("PNG", "I;16", {}),
        ("PNG", "RGBA", {}),
        ("JPEG", "RGB", {"progressive": True, "exif": turned()}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ],
)
def test_reading_takes_at_most_four_times_the_arrays_memory(kind, mode, options, tmp_path):
    path = tmp_path / "large"
    colour = 40_000 if mode == "I;16" else (9, 99, 200, 70)[: len(mode)]
    Image.new(mode, (SIDE, SIDE), colour).save(path, kind, **options)
    program = (
        "import sys, cv2, mfr.images as i\n"
        "def kib(name):\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(l.split()[1]) for l in lines if l.startswith(name))\n"
        "before = kib('VmRSS')\n"
        "size = i.read_image(sys.argv[1]).nbytes\n"
        "print((kib('VmHWM') - before) * 1024 / size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert 1 < float(done.stdout) < 4


def test_a_large_jpeg_2000_is_refused_for_what_its_decoder_takes():
    side = int(MAX_JPEG2000_PIXELS**0.5) + 1
    with pytest.raises(ImageError, match="16 megapixels"):
        read_image(encode(Image.new("L", (side, side)), "JPEG2000"))


def test_a_tiff_tile_far_larger_than_its_image_is_refused():
    one = tiff_pages(1)
    # The strip's tags become those of a tile of 60000 x 60000 pixels.
    one = one.replace(struct.pack("<HHII", 278, 3, 1, 8), struct.pack("<HHII", 322, 4, 1, 60_000))
    one = one.replace(struct.pack("<HHII", 279, 4, 1, 64), struct.pack("<HHII", 323, 4, 1, 60_000))
    with pytest.raises(ImageError, match="more pixels than the limit"):
        image_size_or_pixels(one)


def test_a_gif_that_claims_a_vast_canvas_is_refused():
    data = bytearray(encode(Image.new("P", (8, 8)), "GIF"))
    start = data.index(b",")
    data[start + 5 : start + 9] = b"\xff\xff\xff\x7f"  # its first frame: 65535 x 32767
    with pytest.raises(ImageError, match="more pixels than the limit"):
        read_image(bytes(data))


def image_size_or_pixels(data: bytes) -> None:
    image_size(data)
    read_image(data)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_agrees_with_pillow(mode, lossless):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, len(mode)), np.uint8)
    data = encode(Image.fromarray(noise), "WEBP", lossless=lossless)
    with Image.open(io.BytesIO(data)) as image:
        rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    expected = np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    np.testing.assert_array_equal(read_image(data), expected)


@pytest.mark.parametrize("kind", ["WEBP", "JPEG", "TIFF", "PNG"])
def test_orientation_is_undone_in_every_format_that_has_it(kind):
    stored = Image.new("RGB", (16, 8))
    stored.paste("white", (0, 0, 8, 8))
    options = {"lossless": True} if kind == "WEBP" else {}
    found = read_image(encode(stored, kind, exif=turned(), **options))
    assert found.shape == (16, 8, 3)
    assert found[:8].min() > 200 and found[8:].max() < 50


def test_integer_samples_of_32_bits_are_refused_in_a_tiff():
    data = encode(Image.fromarray(np.full((4, 4), 2**30, np.int32)), "TIFF")
    with pytest.raises(ImageError, match="32-bit samples"):
        read_image(data)


def test_sixteen_bit_grey_whose_zero_is_white_comes_out_positive():
    samples = np.array([[0, 257, 32768, 65535]], np.uint16)
    data = encode(Image.fromarray(samples), "TIFF", tiffinfo={262: 0})
    assert read_image(data)[0, :, 0].tolist() == [255, 254, 127, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_unscaled_12_bit_samples_are_named_for_what_they_are(kind):
    samples = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    with pytest.raises(ImageError, match="largest is about 4095 of 65535"):
        read_image(encode(Image.fromarray(samples), kind))
    # One more and it may be a dark photo; one that is black all over is just black.
    assert read_image(encode(Image.fromarray(samples + 1), kind)).max() == 16
    assert read_image(encode(Image.fromarray(samples * 0), kind)).max() == 0


def test_unscaled_12_bit_colours_are_named_too():
    import cv2

    colours = np.full((8, 8, 3), 4095, np.uint16)
    data = cv2.imencode(".png", colours)[1].tobytes()
    with pytest.raises(ImageError, match="when 12-bit data were saved unscaled"):
        read_image(data)
    assert read_image(cv2.imencode(".png", colours * 16)[1].tobytes()).min() == 255


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 32), "red")).save(buffer)
    return buffer.getvalue()


def test_heic_photos_are_read_where_their_library_is_installed():
    image = read_image(heic())
    assert image.shape == (32, 64, 3)
    assert image[..., 0].min() > 240 and image[..., 1:].max() < 15


def test_heic_photos_are_named_where_it_is_not(monkeypatch):
    data = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"is a HEIC photo.*pip install pillow-heif.*JPEG"):
        read_image(data)
