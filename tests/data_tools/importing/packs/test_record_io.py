from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.importing.packs.record_io import read_image_record, read_records
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import MAGIC, image_record, record

pieces = st.lists(st.binary(max_size=9) | st.just(MAGIC) | st.just(MAGIC * 2), max_size=6)
datas = pieces.map(b"".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(datas, max_size=5))
def test_records_with_magic_numbers_anywhere_come_back(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("rec") / "a.rec"
    path.write_bytes(b"".join(map(record, records)))
    assert list(read_records(path)) == records


def test_a_record_in_three_parts_by_hand(tmp_path):
    # b"abcd" MAGIC "" MAGIC b"e": a first part of 4 bytes, an empty middle part, a padded last.
    (tmp_path / "a.rec").write_bytes(
        MAGIC + struct.pack("<I", 1 << 29 | 4) + b"abcd"
        + MAGIC + struct.pack("<I", 2 << 29)
        + MAGIC + struct.pack("<I", 3 << 29 | 1) + b"e\0\0\0"
    )  # fmt: skip
    assert list(read_records(tmp_path / "a.rec")) == [b"abcd" + MAGIC + MAGIC + b"e"]


@pytest.mark.parametrize("cut", range(1, 28))
def test_every_truncation_is_noticed(tmp_path, cut):
    whole = record(b"first") + record(b"second")
    (tmp_path / "a.rec").write_bytes(whole[:-cut])
    records = read_records(tmp_path / "a.rec")
    if cut in (16, 32):  # exactly one record is missing: only a count or an index reveals it
        assert list(records) == [b"first"]
    else:
        with pytest.raises(DataError, match=r"Record [01] of .* is truncated"):
            list(records)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (record(b"a") + b"\0" * 8, "Record 1 of .* magic number"),
        (MAGIC + struct.pack("<I", 2 << 29), "impossible order"),
        (MAGIC + struct.pack("<I", 3 << 29), "impossible order"),
        (MAGIC + struct.pack("<I", 4 << 29), "impossible order"),
        (MAGIC + struct.pack("<I", 1 << 29) + record(b"a"), "impossible order"),
        (MAGIC + struct.pack("<I", 2**29 - 1), "larger than the limit of 65 MiB"),
        ((MAGIC + struct.pack("<I", 1 << 29)) * 2, "impossible order"),
    ],
)
def test_damage_names_the_record(tmp_path, data, words):
    (tmp_path / "a.rec").write_bytes(data)
    with pytest.raises(DataError, match=words):
        list(read_records(tmp_path / "a.rec"))


def test_image_records():
    one = read_image_record(image_record(2**40, 7.0, b"jpeg"), "it")
    assert (one.id, one.labels, one.data) == (2**40, (7.0,), b"jpeg")
    two = read_image_record(image_record(3, [5.0, -1.0], b""), "it")
    assert (two.id, two.labels, two.data) == (3, (5.0, -1.0), b"")


@pytest.mark.parametrize(
    "data", [b"", bytes(23), b"\xff" * 24, image_record(1, [1.0, 2.0], b"")[:-1]]
)
def test_short_image_records(data):
    with pytest.raises(DataError, match=r"^it is not an image record"):
        read_image_record(data, "it")
