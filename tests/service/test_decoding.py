"""Photos decoded by other processes: the same pixels and sentences, and nothing else breaks."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mfr.errors import ImageError, MfrError
from mfr.faces.large_photo import whole_pixels
from mfr.images import NamedBytes, ReducedPhoto, read_image, read_to_search
from mfr.service.decoding import Decoders
from tests.faces.test_large_photo import photo

WILD = "tests.service.wild_decoder"


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(1) as processes:
        yield processes


@pytest.fixture(scope="module")
def wild() -> Iterator[Decoders]:
    with Decoders(2, seconds=1.0, megabytes=256, module=WILD) as processes:
        yield processes


def encoded(kind: str, size: tuple[int, int] = (61, 47), mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def same(one: np.ndarray | ReducedPhoto, other: np.ndarray | ReducedPhoto) -> None:
    if isinstance(other, ReducedPhoto):
        assert isinstance(one, ReducedPhoto)
        assert (one.factor, one.origin, one.name) == (other.factor, other.origin, other.name)
        assert one.data == other.data
        one, other = one.pixels, other.pixels
    assert isinstance(one, np.ndarray) and one.dtype == np.uint8
    assert one.flags.c_contiguous and one.flags.writeable
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_pixels_are_those_of_this_process(decoders, kind, mode):
    data = encoded(kind, mode=mode)
    same(decoders.read(data, None), read_to_search(data, None))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_photo_is_the_same_and_is_decoded_whole_there_too(decoders, orientation):
    data = NamedBytes(photo(orientation=orientation), "ada.jpg")
    found = decoders.read(data, 120)
    same(found, read_to_search(data, 120))
    assert isinstance(found, ReducedPhoto) and found.factor == 4
    np.testing.assert_array_equal(found.whole(), read_image(data))


def test_a_photo_may_be_large(decoders):
    data = photo(2500, 2000)
    same(decoders.read(data, None), read_image(data))


def test_a_path_is_read_here(decoders, tmp_path):
    path = tmp_path / "ada.png"
    path.write_bytes(encoded("PNG"))
    same(decoders.read(path, None), read_image(path))
    with pytest.raises(ImageError, match=r"^There is no image .*bob\.png"):
        decoders.read(tmp_path / "bob.png", None)


def test_damage_gets_the_same_sentences(decoders):
    data = encoded("PNG")
    frames = io.BytesIO()
    Image.new("L", (9, 9)).save(
        frames, "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 200)]
    )
    for bad in (b"", b"text", data[:-200], data[:40], frames.getvalue(), encoded("JPEG")[:300]):
        for photo_given in (bad, NamedBytes(bad, "Ädä \udcff.png")):
            with pytest.raises(ImageError) as expected:
                read_to_search(photo_given, None)
            with pytest.raises(ImageError) as found:
                decoders.read(photo_given, None)
            assert str(found.value) == str(expected.value)
    same(decoders.read(data, None), read_image(data))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF"]),
    place=st.integers(0, 10**6),
    value=st.integers(0, 255),
)
def test_whatever_was_damaged_the_answer_is_the_same(decoders, kind, place, value):
    data = bytearray(encoded(kind, (12, 9)))
    data[place % len(data)] = value

    def outcome(read) -> object:
        try:
            return np.array(read(bytes(data), None)).tolist()
        except ImageError as error:
            return str(error)

    assert outcome(decoders.read) == outcome(read_to_search)


def test_a_photo_that_takes_too_long_is_refused_and_others_go_on(wild):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(wild.read, NamedBytes(b"hang", "slow.jpg"), None)
        assert [wild.read(b"number%d" % k, None)[0, 0, 0] for k in range(5)] == list(range(5))
        with pytest.raises(ImageError, match=r"^slow\.jpg took longer than 1 seconds to decode: "):
            slow.result()
    assert wild.read(b"number7", None).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize("deed", [b"crash", b"fill"])
def test_a_photo_that_ends_its_decoder_is_refused_and_costs_no_process(wild, deed):
    for _ in range(4):  # more often than there are processes
        with pytest.raises(ImageError, match=r"^The given image broke its decoder, or takes more "):
            wild.read(deed, None)
    assert wild.read(b"number7", None).tolist() == [[[7, 7, 7]]]


def test_memory_is_bounded_and_a_photo_that_needs_more_is_not_called_damaged():
    data = encoded("BMP", (4000, 3000))
    with Decoders(1, megabytes=90) as small:
        with pytest.raises(ImageError, match="takes more than 90 MB"):
            small.read(data, None)
        same(small.read(encoded("PNG"), None), read_image(encoded("PNG")))


def test_a_process_knows_no_secret_no_open_file_and_imports_little(wild, monkeypatch, tmp_path):
    with (tmp_path / "open").open("w"):
        monkeypatch.setenv("MFR_SECRET", "geheim")
        with Decoders(1, module=WILD) as processes:
            assert processes.read(b"environment", None).tolist() == [[[0, 0, 0]]]


def test_eight_threads_get_each_their_own_answer(wild):
    def ask(number: int) -> bool:
        if number % 40 == 39:
            with pytest.raises(ImageError):
                wild.read(b"crash", None)
            return True
        return bool((wild.read(b"number%d" % number, None) == number).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_closing_ends_the_processes_and_whoever_waits(tmp_path):
    processes = Decoders(2, seconds=60, module=WILD)
    pids = [process._process.pid for process in processes._running]
    ended = []

    def ask() -> None:
        with pytest.raises(MfrError):
            processes.read(b"hang", None)
        ended.append(True)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    processes.close()
    for thread in threads:
        thread.join(timeout=30)
    assert len(ended) == 4 and not any(runs(pid) for pid in pids)


@pytest.mark.parametrize("deed", ["number1", "hang"])
def test_a_program_that_is_killed_leaves_no_process_behind(deed):
    program = f"""
        import threading
        from mfr.service.decoding import Decoders
        processes = Decoders(2, seconds=1.0, module={WILD!r})
        threading.Thread(target=processes.read, args=(b"number1", None)).start()
        processes.read(b"number1", None)
        print(*[process._process.pid for process in processes._running], flush=True)
        processes.read({deed!r}.encode(), None)
        threading.Event().wait()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(0.2)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    end = time.monotonic() + 20
    while any(runs(pid) for pid in pids):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"  # an orphan waits for the machine's first process


def test_a_costly_photo_is_used_reduced_if_it_cannot_be_decoded_whole(wild):
    file = io.BytesIO()
    Image.new("RGB", (8000, 6000)).save(file, "JPEG")  # 144 MB, in processes of 256
    reduced = wild.read(file.getvalue(), 1000)
    assert reduced.factor == 4 and whole_pixels(reduced) is reduced.pixels
