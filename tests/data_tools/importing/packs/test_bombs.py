"""Small packs that unfold to much: refused before they fill a memory or a disk."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_tools.importing import table
from data_tools.importing.packs import limits
from data_tools.importing.packs.arrow_messages import is_compressed
from data_tools.importing.packs.huggingface import HuggingFaceDataset
from data_tools.importing.packs.parquet_pages import unpacked_page_sizes
from data_tools.importing.packs.unpacking import import_pack
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import encoded, image_table, write_arrow

NOISE = np.random.default_rng(0).bytes(20_000)


def parquet(path, images, **options):
    pq.write_table(image_table(images, ["ann"] * len(images)), path, **options)
    return HuggingFaceDataset(path)


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip"])
def test_a_page_that_unfolds_is_not_decompressed(tmp_path, codec):
    pack = parquet(tmp_path / "bomb.parquet", [bytes(2**22)], compression=codec)
    with pytest.raises(DataError, match="unpacks to more than 16 times its size"):
        next(iter(pack.images()))


@pytest.mark.parametrize("column", ["label", "image.path"])
def test_no_other_column_unfolds(tmp_path, column):
    text = "x" * 2**22
    structs = [{"bytes": NOISE, "path": text if column == "image.path" else None}]
    rows = pa.table({"image": structs, "label": [text if column == "label" else "ann"]})
    pq.write_table(rows, tmp_path / "bomb.parquet", compression="zstd")
    images = HuggingFaceDataset(tmp_path / "bomb.parquet").images()
    if column == "image.path":  # which is not read
        assert next(images).data == NOISE
    else:
        with pytest.raises(DataError, match="unpacks to more than 16 times its size"):
            next(images)


def test_one_image_for_many_rows_fills_no_disk(tmp_path):
    pack = parquet(tmp_path / "bomb.parquet", [NOISE] * 1000)
    assert (tmp_path / "bomb.parquet").stat().st_size < 2 * len(NOISE)
    with pytest.raises(DataError, match="unpacks to more than 16 times its size"):
        import_pack(pack, tmp_path / "ds", domain="d")
    written = sum(path.stat().st_size for path in (tmp_path / "ds").rglob("*") if path.is_file())
    assert written < 17 * 2 * len(NOISE)
    assert not (tmp_path / "ds/manifest.parquet").exists()


def test_millions_of_empty_images_make_no_files(tmp_path):
    pack = parquet(tmp_path / "bomb.parquet", [b""] * 20_000)
    with pytest.raises(DataError, match="unpacks to more than 16 times its size"):
        import_pack(pack, tmp_path / "ds", domain="d")


def test_an_image_over_the_limit_is_refused_in_every_pack(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", len(NOISE) - 1)
    for pack in (
        parquet(tmp_path / "a.parquet", [NOISE]),
        HuggingFaceDataset(write_arrow(tmp_path / "a.arrow", image_table([NOISE], ["ann"]))),
    ):
        with pytest.raises(DataError, match=r"Row 0 of .* is larger than the limit"):
            list(pack.images())


def test_a_compressed_stream_is_refused(tmp_path):
    bomb = image_table([bytes(2**22)], ["ann"])
    with pa.OSFile(str(tmp_path / "bomb.arrow"), "wb") as file:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(file, bomb.schema, options=options) as stream:
            stream.write_table(bomb)
    assert (tmp_path / "bomb.arrow").stat().st_size < 2**14
    with pytest.raises(DataError, match="is compressed"):
        HuggingFaceDataset(tmp_path / "bomb.arrow")
    plain = write_arrow(tmp_path / "plain.arrow", image_table([encoded(1)] * 9, ["ann"] * 9))
    assert not is_compressed(plain)
    words = pa.table({"word": pa.array(["aa"] * 1000).dictionary_encode()})
    for codec in (None, "lz4"):
        with pa.OSFile(str(tmp_path / "words.arrow"), "wb") as file:
            options = pa.ipc.IpcWriteOptions(compression=codec)
            with pa.ipc.new_stream(file, words.schema, options=options) as stream:
                stream.write_table(words)
        assert is_compressed(tmp_path / "words.arrow") == (codec is not None)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_page_headers_say_what_the_footer_says(tmp_path, version, dictionary):
    images = [np.random.default_rng(i).bytes(500 + i) for i in range(300)] * 2
    parquet(
        tmp_path / "a.parquet",
        images,
        data_page_version=version,
        use_dictionary=dictionary,
        row_group_size=250,
        data_page_size=20_000,
        write_batch_size=10,
        write_statistics=True,
    )
    sizes = list(unpacked_page_sizes(tmp_path / "a.parquet", ["image.bytes"]))
    footer = pq.read_metadata(tmp_path / "a.parquet")
    chunks = [
        footer.row_group(group).column(number)
        for group in range(footer.num_row_groups)
        for number in range(footer.num_columns)
    ]
    claimed = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema == "image.bytes")
    assert len(sizes) >= 2 * footer.num_row_groups
    # The footer counts the headers too, which are less than two kilobytes each.
    assert 0 < claimed - sum(sizes) < 2000 * len(sizes)


def test_a_damaged_page_header_is_one_sentence(tmp_path):
    path = tmp_path / "a.parquet"
    parquet(path, [NOISE, encoded(1)], use_dictionary=False)
    whole = path.read_bytes()
    place = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    for value in range(0, 256, 23):
        for offset in range(6):
            damaged = bytearray(whole)
            damaged[place + offset] = value
            path.write_bytes(damaged)
            tracemalloc.start()
            try:
                list(HuggingFaceDataset(path).images())
            except DataError as error:
                assert "damaged" in str(error) or "unpacks to more" in str(error)
            finally:
                assert tracemalloc.get_traced_memory()[1] < 2**25
                tracemalloc.stop()


def test_a_table_with_a_page_that_unfolds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "MAX_BYTES", 2**20)
    rows = pa.table({"path": ["x" * 2**21], "identity": ["ann"], "domain": ["d"]})
    pq.write_table(rows, tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(DataError, match="has a page of 20971"):
        table.import_table(tmp_path / "bomb.parquet", tmp_path / "ds")
