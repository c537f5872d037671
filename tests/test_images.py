from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mfr.errors import ImageError
from mfr.images import FORMATS, image_size, read_image


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header claims a size, whatever its data are."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_a_file_its_bytes_and_a_string_give_the_same_pixels(tmp_path):
    pixels = noise()
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for source in (path, str(path), path.read_bytes()):
        image = read_image(source)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous and image.flags.writeable
        np.testing.assert_array_equal(image, pixels)
    assert image_size(path) == (60, 40)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_exact(kind):
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(noise()), kind)), noise())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation):
    upright = noise(4, 6)
    # What a camera held in each way stores of the upright scene (Exif 2.3, tag 0x0112).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(data), upright)


def test_damaged_exif_leaves_the_pixels():
    data = encode(Image.fromarray(noise()), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff garbage")
    np.testing.assert_array_equal(read_image(data), noise())


def test_grey_palette_and_bilevel_become_rgb():
    grey = Image.fromarray(noise()[:, :, 0])
    expected = np.repeat(noise()[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(read_image(encode(grey)), expected)
    palette = Image.fromarray(noise()).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(read_image(encode(palette)), expected)
    bits = Image.fromarray(np.array([[True, False]]))
    assert read_image(encode(bits))[0, :, 0].tolist() == [255, 0]


def test_transparency_shows_white():
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    image = read_image(encode(Image.fromarray(rgba)))
    assert image[0].tolist() == [[255, 255, 255], [10, 20, 30], [204, 204, 204]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    image = read_image(encode(palette, "PNG", transparency=0))
    assert image[0].tolist() == [[255, 255, 255], [0, 255, 0]]


def test_cmyk_is_converted():
    inks = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [0, 255, 255, 0]]], np.uint8)
    image = read_image(encode(Image.fromarray(inks, "CMYK"), "TIFF"))
    assert image[0].tolist() == [[255, 255, 255], [0, 0, 0], [255, 0, 0]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    samples = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    image = read_image(encode(Image.fromarray(samples), kind))
    assert image[0, :, 0].tolist() == [0, 0, 1, 128, 255]  # round(x / 257)
    assert (image == image[:, :, :1]).all()


def test_thirty_two_bit_samples_are_refused():
    floats = Image.fromarray(np.ones((2, 2), np.float32))
    with pytest.raises(ImageError, match="32-bit") as error:
        read_image(encode(floats, "TIFF"))
    sentence(error)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_an_error(kind, share, tmp_path):
    data = encode(Image.fromarray(noise()), kind)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.jpg") as error:
        read_image(path)
    sentence(error)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_animated_and_multi_page_files_are_refused(kind):
    frames = [Image.fromarray(np.roll(noise(), i, axis=0)) for i in range(3)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="several frames") as error:
        read_image(data)
    sentence(error)


def test_a_cameras_mpo_is_its_first_photo():
    frames = [Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    red, _, blue = read_image(data)[4, 4]
    assert red > 240 and blue < 15


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, words in [
        ("text.jpg", "not an image"),
        ("empty.jpg", "is empty"),
        ("script.eps", "not an image"),
        ("pipe.jpg", "not a regular file"),
        (".", "is a folder"),
        ("missing.jpg", "There is no image"),
        ("https:/missing.jpg", "There is no image"),  # in a folder of that name
        ("text.jpg/inside.jpg", "cannot be read"),
        ("nul\0.jpg", "cannot be read"),
        ("x" * 300 + ".jpg", "cannot be read"),
    ]:
        with pytest.raises(ImageError, match=words) as error:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in sentence(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encode(Image.fromarray(noise())))
    path.chmod(0)
    with pytest.raises(ImageError, match="permission") as error:
        read_image(path)
    sentence(error)


def test_limits_are_inclusive_and_say_what_they_are(tmp_path):
    data = encode(Image.fromarray(noise(40, 60)))
    read_image(data, max_pixels=2400, max_bytes=len(data))
    with pytest.raises(ImageError, match=r"0\.002399 megapixels"):
        read_image(data, max_pixels=2399)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ImageError, match="MiB") as error:
            read_image(source, max_bytes=len(data) - 1)
        sentence(error)


@pytest.mark.parametrize("size", [(10_000, 6_000), (10_000, 10_000), (20_000, 10_000)])
def test_too_many_pixels_are_refused_from_the_header(size, recwarn):
    with pytest.raises(ImageError, match="50 megapixels") as error:
        read_image(png_of(*size))  # it has no pixels at all: decoding would fail in another way
    sentence(error)
    assert not recwarn.list


def test_a_decompression_bomb_costs_no_memory(tmp_path):
    bomb = tmp_path / "bomb.png"
    row = b"\0" * (1 + 3 * 20_000)
    bomb.write_bytes(png_of(20_000, 10_000, row * 500))
    program = (
        "import resource, sys\n"
        "from mfr.images import read_image\n"
        "from mfr.errors import ImageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_image(sys.argv[1])\n"
        "except ImageError as error:\n    print(error)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "sys.exit(0 if grown < 50_000 else 1)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(bomb)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "megapixels" in run.stdout and run.stderr == ""


def test_many_threads_may_read_at_once():
    data, results = encode(Image.fromarray(noise())), []
    threads = [threading.Thread(target=lambda: results.append(read_image(data))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16 and all((image == noise()).all() for image in results)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(FORMATS),
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_an_image_or_an_image_error(kind, damage):
    data = bytearray(encode(Image.fromarray(noise(12, 12)), kind))
    for position, value in damage:
        data[position % len(data)] = value
    try:
        image = read_image(bytes(data))
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize(
    "address", ["https://example.org/a.jpg", "HTTP://example.org/" + "a" * 300, "s3://bucket/a.jpg"]
)
def test_an_address_is_not_fetched(address):
    with pytest.raises(ImageError, match=r"URLs are not fetched; download the photo") as refused:
        read_image(address)
    assert str(refused.value).startswith(address)
