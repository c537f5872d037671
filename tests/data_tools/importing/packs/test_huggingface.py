from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_tools.importing.packs.huggingface import HuggingFaceDataset
from data_tools.importing.packs.unpacking import import_pack
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import encoded, image_table, write_arrow

IMAGES = [encoded(seed) for seed in range(5)]
NAMES = ["Ada", "Grace Hopper", "3"]
TABLE = image_table(IMAGES, [0, 1, 2, 1, 0], names=NAMES)


def read(path, **options):
    return [(one.identity, one.data) for one in HuggingFaceDataset(path, **options).images()]


def named(labels):
    return list(zip(labels, IMAGES, strict=True))


WHO = named(["Ada", "Grace Hopper", "3", "Grace Hopper", "Ada"])


def test_what_save_to_disk_writes(tmp_path):
    for split in ("test", "train"):
        write_arrow(tmp_path / split / "data-00000-of-00002.arrow", TABLE.slice(0, 3), rows=2)
        write_arrow(tmp_path / split / "data-00001-of-00002.arrow", TABLE.slice(3))
        write_arrow(tmp_path / split / "cache-12ab.arrow", TABLE)  # not part of the dataset
        (tmp_path / split / "state.json").write_text("{}")
    pack = HuggingFaceDataset(tmp_path)
    assert pack.total == 10
    result = import_pack(pack, tmp_path / "ds", domain="d")
    assert (result.crops, result.domains[0].identities, result.domains[0].people) == (10, 3, 3)
    manifest = Manifest.read(tmp_path / "ds")
    assert [path.read_bytes() for path in manifest.photo_paths()] == IMAGES * 2
    assert manifest.column("person")[:3] == ["ada", "grace hopper", "d 3"]
    assert manifest.column("source")[4] == "huggingface data-00001-of-00002.arrow"
    assert not (tmp_path.parent / "elsewhere.jpg").exists()  # the paths in the structs are not used


def test_parquet_shards(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(TABLE, tmp_path / "data/train-00000-of-00001-9a8b.parquet", row_group_size=2)
    assert read(tmp_path) == WHO == read(tmp_path / "data/train-00000-of-00001-9a8b.parquet")


def test_names_stand_beside_the_files_too(tmp_path):
    plain = TABLE.replace_schema_metadata(None)
    write_arrow(tmp_path / "a.arrow", plain)
    assert read(tmp_path) == named(["0", "1", "2", "1", "0"])
    info = {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    assert read(tmp_path) == WHO


def test_which_column_is_the_identity(tmp_path):
    labels = ["a", "b", "c", "d", "e"]
    write_arrow(tmp_path / "1/a.arrow", image_table(IMAGES, labels, label="identity"))
    assert read(tmp_path / "1") == named(labels)
    write_arrow(tmp_path / "2/a.arrow", image_table(IMAGES, [0] * 5, names=NAMES, label="who"))
    assert read(tmp_path / "2") == named(["Ada"] * 5)
    write_arrow(tmp_path / "3/a.arrow", image_table(IMAGES, labels, label="who"))
    assert read(tmp_path / "3", label="who") == named(labels)
    for options, words in [({}, "no column identity or label"), ({"label": "x"}, "no column 'x'")]:
        with pytest.raises(DataError, match=f"{words}.*image, who"):
            read(tmp_path / "3", **options)
    with pytest.raises(DataError, match=r"'image' .* is of type struct"):
        read(tmp_path / "3", label="image")


def with_info(text):
    return TABLE.replace_schema_metadata({"huggingface": text})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (image_table(IMAGES, [0, 1, 3, 0, 0], names=NAMES), "Row 2 .* label 3, but there are 3"),
        (image_table(IMAGES, [0, -1, 2, 0, 0], names=NAMES), "Row 1 .* label -1"),
        (image_table(IMAGES, [0, 1, 2, None, 0], names=NAMES), "Row 3 .* no label"),
        (image_table([*IMAGES[:4], None], [0] * 5), "Row 4 .* no image"),
        (image_table(IMAGES, ["a", "b", "", "d", "e"]), "Row 2 .* identity ''"),
        (image_table(IMAGES, [0.5] * 5), "is of type double"),
        (pa.table({"label": [1]}), "has 0 columns of images"),
        (TABLE.append_column("other", TABLE["image"]), "has 2 columns of images"),
        (with_info("{"), "is damaged"),
        (with_info('{"info": []}'), "is damaged"),
        (with_info('{"info": {"features": {"label": {"_type": "ClassLabel"}}}}'), "is damaged"),
        (TABLE.slice(0, 0), "holds no images"),
    ],
)
def test_every_damage_has_its_sentence(tmp_path, table, words):
    write_arrow(tmp_path / "in/a.arrow", table)
    with pytest.raises(DataError, match=words):
        import_pack(HuggingFaceDataset(tmp_path / "in"), tmp_path / "ds", domain="d")
    assert not (tmp_path / "ds/manifest.parquet").exists()


@pytest.mark.parametrize(("kind", "name"), [("arrow", "an Arrow"), ("parquet", "a Parquet")])
def test_truncated_files(tmp_path, kind, name):
    path = tmp_path / f"a.{kind}"
    if kind == "arrow":
        write_arrow(path, TABLE, rows=1)
    else:
        pq.write_table(TABLE, path)
    whole = path.read_bytes()
    for size in (0, 3, 100, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=f"truncated, damaged or not {name} file"):
            read(path)


def test_offsets_that_lead_out_of_the_file(tmp_path):
    # The images' offsets are stored in the file as plain 32-bit numbers.
    path = write_arrow(tmp_path / "a.arrow", TABLE, rows=5)
    data = path.read_bytes()
    ends = [sum(map(len, IMAGES[: n + 1])) for n in range(5)]
    true = b"".join(n.to_bytes(4, "little") for n in ends)
    assert data.count(true) == 1
    path.write_bytes(data.replace(true, true[:-4] + (2**30).to_bytes(4, "little")))
    with pytest.raises(DataError, match="truncated, damaged or not an Arrow"):
        read(path)


def test_another_column_is_another_import(tmp_path):
    table = TABLE.append_column("name", pa.array(["a", "b", "c", "d", "e"]))
    write_arrow(tmp_path / "in/a.arrow", table)
    import_pack(HuggingFaceDataset(tmp_path / "in"), tmp_path / "ds", domain="d")
    with pytest.raises(DataError, match="has images from elsewhere"):
        import_pack(HuggingFaceDataset(tmp_path / "in", label="name"), tmp_path / "ds", domain="d")


def test_a_missing_shard(tmp_path):
    for number in (0, 2, 3):
        write_arrow(tmp_path / f"data-{number:05d}-of-00004.arrow", TABLE)
    with pytest.raises(DataError, match=r"lacks 1 of the 4 files .*, such as number 00001"):
        HuggingFaceDataset(tmp_path)
    assert len(read(tmp_path / "data-00002-of-00004.arrow")) == 5  # a file that was named by itself


def test_no_dataset(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.arrow or \.parquet"):
        HuggingFaceDataset(tmp_path)
    with pytest.raises(DataError, match="There is no file"):
        HuggingFaceDataset(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet file")
    with pytest.raises(DataError, match="not a Parquet file"):
        HuggingFaceDataset(tmp_path)
