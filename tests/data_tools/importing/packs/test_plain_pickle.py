from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.importing.packs.plain_pickle import PlainArray, read_plain
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import python2_pickle

whole = st.integers(-(2**70), 2**70)
leaves = st.none() | st.booleans() | whole | st.binary(min_size=1) | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.lists(inner, max_size=5).map(tuple), max_leaves=20
)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from([0, 1, 2, 3, 4, 5]))
def test_plain_data_reads_as_pickle_reads_it(value, protocol):
    assert read_plain(pickle.dumps(value, protocol), "it") == value


def test_python_2_strings_are_bytes():
    images = [b"\xff\xd8short", b"\x00" * 300, *(bytes([i % 256]) for i in range(300))]
    same = [True, False] * 76
    data = python2_pickle(images, same)
    assert pickle.loads(data, encoding="bytes") == (images, same)  # the writer is right
    assert read_plain(data, "it") == (images, same)


def test_python_2_strings_of_protocol_0_are_bytes():
    image = bytes(range(256)) + b"'\"\\n"
    written = b"(lp0\nS" + repr(image)[1:].encode() + b"\np1\naI01\naI00\na."
    assert pickle.loads(written, encoding="bytes") == [image, True, False]  # the writer is right
    assert read_plain(written, "it") == [image, True, False]
    for damage in (b"S'abc\n.", b"Sabc\n.", b"S'\n.", b"S'\\xzz'\n."):
        with pytest.raises(DataError, match="truncated"):
            read_plain(damage, "it")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["u1", "i1", "<i4", ">i4", "<i8", ">i8", "u8"])
def test_numpy_whole_numbers(kind, protocol):
    array = np.array([0, 1, 1, 100], kind)
    found, scalars = read_plain(pickle.dumps([array, list(array)], protocol), "it")
    assert found.values() == scalars == [0, 1, 1, 100]


@pytest.mark.parametrize("value", [np.array([1.0]), np.array(["a"]), {"a": 1}, 1.5])
def test_what_is_strange_but_harmless_is_not_called_dangerous(value):
    with pytest.raises(DataError, match="which no pack of images has"):
        read_plain(pickle.dumps(value, 4), "it")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_numpy_bytes_and_booleans(protocol):
    array = np.arange(256, dtype=np.uint8)
    column = array[:, None]
    value = ([array, column], [np.bool_(True), np.bool_(False)], np.array([True, False]))
    images, scalars, labels = read_plain(pickle.dumps(value, protocol), "it")
    assert images == [PlainArray("u1", array.tobytes())] * 2
    assert scalars == [True, False]
    assert labels == PlainArray("b1", b"\1\0")


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Slots:
    def __init__(self):
        self.x = 1


def persistent() -> bytes:
    file = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("os", "system") if value == "me" else None

    Pickler(file, 2).dump(["me"])
    return file.getvalue()


def hostile(marker: str) -> dict[str, bytes]:
    run = f"touch {marker}"
    return {
        "REDUCE": pickle.dumps(Runs(os.system, (run,)), 2),
        "REDUCE, protocol 4": pickle.dumps(([b"x"], [Runs(os.system, (run,))]), 4),
        "REDUCE of eval": pickle.dumps(Runs(eval, (f"__import__('os').system('{run}')",)), 5),
        "INST": b"(S'%s'\nios\nsystem\n." % run.encode(),
        "OBJ": b"(cos\nsystem\nS'%s'\no." % run.encode(),
        "GLOBAL alone": b"\x80\x02cos\nsystem\n.",
        "NEWOBJ": pickle.dumps(Slots(), 2),
        "NEWOBJ_EX": b"\x80\x04\x8c\x02os\x8c\x06system\x93(\x8c\x01xt}\x92.",
        "BUILD on a list": b"\x80\x02]}b.",
        "BUILD on what a name gives": pickle.dumps(collections.OrderedDict(a=1), 2),
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT2": b"\x80\x02\x83\x01\x00.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "PERSID": b"Pos.system\n.",
        "BINPERSID": persistent(),
        "_codecs.decode": b"\x80\x02c_codecs\ndecode\n(U\x01xU\x03rottR.",
        "_codecs.encode with another codec": b"\x80\x02c_codecs\nencode\n(X\x01\0\0\0xX\x05\0\0\0"
        b"rot13tR.",
        "an object array": pickle.dumps(np.array([Slots()], dtype=object), 2),
        "numpy scalar of objects": b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n"
        b"(X\x02\0\0\0O8K\x00K\x01tRU\x01xtR.",
        "a longer dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__class_\x93.",
        "DUP": b"\x80\x02]2.",
        "a dictionary": pickle.dumps({}, 2),
        "a set": pickle.dumps({1}, 4),
        "a float": pickle.dumps(1.0, 2),
    }


@pytest.mark.parametrize("name", sorted(hostile("")))
def test_hostile_pickles_are_refused_and_never_run(tmp_path, monkeypatch, name):
    marker = tmp_path / "pwned"
    with pytest.raises(DataError, match=r"^it (holds|is truncated)") as error:
        read_plain(hostile(str(marker))[name], "it")
    assert not marker.exists() and str(error.value).count("\n") == 0


def test_the_hostile_pickles_are_real(tmp_path):
    for name in ("REDUCE", "REDUCE, protocol 4", "REDUCE of eval", "INST", "OBJ"):
        marker = tmp_path / name.replace(" ", "_").replace(",", "")
        pickle.loads(hostile(str(marker))[name])
        assert marker.exists(), name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x02]",
        b"not a pickle",
        b"\x80\x02.",
        b"\x80\x02]].",
        b"\x80\x02h\x05.",
        b"\x80\x02e.",
        b"\x80\x02(]e.",
        b"\x80\x02a.",
        b"\x80\x02K\x01K\x02a.",
        b"\x80\x02q\x01.",
        b"\x80\x02K\x01(\x86.",
        b"\x80\x02T\xff\xff\xff\x7fabc",  # two gigabytes that the file does not have
        b"\x80\x02T\xff\xff\xff\xffabc",  # a negative length
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**64 - 1) + b"abc",
        b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"]",
        b"I" + b"9" * 10_000 + b"\n.",
        b"L" + b"9" * 10_000 + b"L\n.",
    ],
)
def test_damage_is_one_sentence(data):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"^it (is truncated|holds)"):
            read_plain(data, "it")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_bytes_gives_data_or_a_sentence(data):
    whole = bytearray(pickle.dumps(([b"abc", np.arange(3, dtype=np.uint8)], [True]), 4))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        read_plain(bytes(whole), "it")


def test_laughs_stay_as_small_as_their_file():
    # Each list holds the previous one ten times, which makes 10^300 elements in all.
    laughs = b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
        for i in range(200)
    )
    # Every tuple is pushed on the stack; a last one gathers them, so that one value is left.
    laughs = laughs.replace(b"\x80\x02", b"\x80\x02(", 1) + b"t."
    # A megabyte of text, encoded ten thousand times.
    text = b"X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x00"
    again = b"c_codecs\nencode\nq\x01X\x06\0\0\0latin1q\x02](" + b"h\x01h\x00h\x02\x86R" * 10_000
    # A memo index of four billion, for which pickle's own memo would take 32 gigabytes.
    far = b"\x80\x02]r\xff\xff\xff\xff."
    tracemalloc.start()
    try:
        assert len(read_plain(laughs, "it")) == 201
        with pytest.raises(DataError, match="more bytes than the file has"):
            read_plain(b"\x80\x02" + text + again + b"e.", "it")
        assert read_plain(far, "it") == []
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()
