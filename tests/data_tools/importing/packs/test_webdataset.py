from __future__ import annotations

import struct
import tarfile

import pytest

from data_tools.importing.packs import limits, webdataset
from data_tools.importing.packs.unpacking import import_pack
from data_tools.importing.packs.webdataset import WebDatasetShards
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import encoded, tar_member, tar_of

A, B, C = encoded(1), encoded(2, size=(60, 80), kind="PNG"), encoded(3, kind="WEBP")


@pytest.fixture
def shard(tmp_path):
    def write(*members: bytes, name: str = "00.tar") -> WebDatasetShards:
        path = tmp_path / "shards" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tar_of(*members))
        return path

    return write


def read(path, **options):
    return [
        (one.identity, one.data, one.source) for one in WebDatasetShards(path, **options).images()
    ]


def test_the_writer_writes_what_tarfile_reads(shard):
    with tarfile.open(shard(tar_member("a/b.jpg", A), tar_member("l", kind=b"2", link="x"))) as tar:
        assert [(m.name, m.size, m.islnk() or m.issym()) for m in tar] == [
            ("a/b.jpg", len(A), False),
            ("l", 0, True),
        ]


def test_samples_of_several_shards_become_rows(tmp_path, shard):
    shard(tar_member("x/0.jpg", A), tar_member("x/0.cls", b"17\n"), name="b.tar")
    shard(
        tar_member("0.json", b'{"identity": "Ada Lovelace", "age": 3}'),
        tar_member("0.png", B),
        tar_member("0.txt", b"ignored"),
        tar_member("1.WEBP", C),
        tar_member("1.json", b'{"identity": 4}'),
        name="sub/a.tar",
    )
    pack = WebDatasetShards(tmp_path / "shards")
    result = import_pack(pack, tmp_path / "ds", domain="d")
    assert (result.crops, result.photos, result.damaged) == (2, 1, 0)
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("identity") == ["17", "Ada Lovelace", "4"]
    assert manifest.column("person") == ["d 17", "ada lovelace", "d 4"]
    assert manifest.column("source") == [
        "webdataset b.tar x/0",
        "webdataset a.tar 0",
        "webdataset a.tar 1",
    ]
    assert [path.read_bytes() for path in manifest.photo_paths()] == [A, B, C]
    assert [path[-4:] for path in manifest.column("path")] == [".jpg", ".png", "webp"]


def test_another_field_names_the_identity(shard):
    path = shard(tar_member("0.jpg", A), tar_member("0.json", b'{"who": {"id": 1}, "name": "x"}'))
    assert read(path, label="name") == [("x", A, "webdataset 00.tar 0")]
    for label in ("identity", "who"):
        with pytest.raises(DataError, match=f"Sample '0' .* the field '{label}'"):
            read(path, label=label)


@pytest.mark.parametrize(
    "key", ["../../escaped", "/escaped", "a/../../../escaped", "con\x01trol", ""]
)
def test_no_name_leaves_the_dataset(tmp_path, shard, key):
    path = shard(tar_member(f"{key}.jpg", A), tar_member(f"{key}.cls", b"../../../name"))
    import_pack(WebDatasetShards(path), tmp_path / "in/ds", domain="d")
    written = [p for p in tmp_path.rglob("*") if p.is_file() and p != path]
    assert all(p.is_relative_to(tmp_path / "in/ds") for p in written)
    manifest = Manifest.read(tmp_path / "in/ds")
    assert manifest.photo_paths()[0].name == "000000000.jpg"
    assert manifest.column("identity") == ["../../../name"]


def test_links_devices_and_folders_are_passed_over(tmp_path, shard):
    members = [
        tar_member(f"{number}.jpg", kind=kind, link="/etc/passwd")
        for number, kind in enumerate([b"1", b"2", b"3", b"4", b"5", b"6"])
    ]
    path = shard(*members, tar_member("9.jpg", A), tar_member("9.cls", b"x"))
    assert read(path) == [("x", A, "webdataset 00.tar 9")]


def test_keys_with_dots_are_samples_too(tmp_path, shard):
    shard(
        *(tar_member("a/ann.v0.jpg", A), tar_member("a/ann.v0.cls", b"ann")),
        *(tar_member("a/ann.v1.json", b'{"identity": "ann"}'), tar_member("a/ann.v1.jpg", B)),
        *(tar_member("bob.cls", b"bob"), tar_member("bob.mask.png", B), tar_member("bob.jpg", C)),
    )
    pack = WebDatasetShards(tmp_path / "shards")
    assert [(one.identity, one.data) for one in pack.images()] == [
        *(("ann", A), ("ann", B), ("bob", C))
    ]
    (left,) = pack.leftovers.found
    assert (left.reason, left.examples) == ("further fields of samples", ["bob.mask.png"])


def test_all_that_is_left_out_is_counted_and_named(tmp_path, shard):
    shard(
        *(tar_member("0.jpg", A), tar_member("0.cls", b"x"), tar_member("0.txt", b"a caption")),
        *(tar_member("README", b"hello"), tar_member("1.jpg", kind=b"2", link="/etc/passwd")),
    )
    (tmp_path / "shards/01.tar.gz").touch()
    result = import_pack(WebDatasetShards(tmp_path / "shards"), tmp_path / "ds", domain="d")
    assert {left.reason: (left.count, left.examples) for left in result.left_out} == {
        "files that are not .tar": (1, ["01.tar.gz"]),
        "files of other kinds": (2, ["0.txt", "README"]),
        "links and special files": (1, ["1.jpg"]),
    }


def test_one_key_for_everything_does_not_fill_the_memory(shard, monkeypatch):
    monkeypatch.setattr(webdataset, "_MAX_SAMPLE", 3 * len(A))
    path = shard(*(tar_member(f"k.{i}.jpg", A) for i in range(4)))
    with pytest.raises(DataError, match=r"Sample 'k' .* larger than the limit"):
        read(path)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([tar_member("0.v0.jpg", A)], "Sample '0.v0' .* does not name an identity"),
        ([tar_member("0.jpg", A)], "does not name an identity"),
        ([tar_member("0.cls", b"x")], "Sample '0' .* holds no image"),
        ([tar_member("0.jpg", A), tar_member("0.png", B), tar_member("0.cls", b"x")], "several"),
        ([tar_member("0.jpg", A), tar_member("0.jpg", A), tar_member("0.cls", b"x")], "several"),
        (
            [tar_member("0.jpg", A), tar_member("1.cls", b"x")],
            "Sample '0' .* does not name an identity",
        ),
        ([tar_member("0.jpg", A), tar_member("0.cls", b"\xff")], "does not name an identity"),
        ([tar_member("0.jpg", A), tar_member("0.cls", b"")], "identity ''"),
        ([tar_member("0.jpg", A), tar_member("0.cls", b"a\nb")], "cannot be shown"),
        ([tar_member("0.jpg", A), tar_member("0.cls", b"x" * 201)], "1 to 200"),
        ([tar_member("0.jpg", A), tar_member("0.json", b"{")], "does not name an identity"),
        (
            [tar_member("0.jpg", A), tar_member("0.json", b"[" * 100_000)],
            "does not name an identity",
        ),
        (
            [tar_member("0.jpg", A), tar_member("0.json", b'{"identity": true}')],
            "not name an identity",
        ),
        ([tar_member("0.jpg", A), tar_member("0.json", b'{"identity": "\\ud800"}')], "1 to 200"),
        ([tar_member("x", b"only others")], "holds no image"),
    ],
)
def test_every_damage_of_a_sample_has_its_sentence(tmp_path, shard, members, words):
    with pytest.raises(DataError, match=words):
        import_pack(WebDatasetShards(shard(*members)), tmp_path / "ds", domain="d")
    assert not (tmp_path / "ds/manifest.parquet").exists()


def test_damaged_shards(shard):
    sample = [tar_member("0.jpg", A), tar_member("0.cls", b"x")]
    path = shard(*sample, tar_member("1.jpg", A), tar_member("1.cls", b"x"))
    whole = path.read_bytes()
    wrong = bytearray(whole)
    wrong[len(sample[0] + sample[1]) + 150] ^= (
        1  # a checksum in the middle: tarfile mistakes it for the end
    )
    giant = bytearray(tar_member("x", kind=b"x"))
    giant[124:136] = b"77777777777\0"
    giant[148:156] = b" " * 8
    giant[148:156] = b"%06o\0 " % sum(giant)
    for data in (
        whole[:-1024],
        whole[:700],
        b"",
        b"no tar" * 100,
        bytes(wrong),
        whole + whole,
        bytes(giant) + bytes(1024),
        tar_member("L", b"x" * 600, kind=b"L") * 2000 + bytes(1024),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"truncated|compressed|too long"):
            read(path)
    path.write_bytes(bytes(10240))
    assert read(path) == []


def test_a_member_larger_than_any_image(shard, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 700)
    with pytest.raises(DataError, match=r"'0\.jpg' .* is larger than the limit"):
        read(shard(tar_member("0.jpg", bytes(701))))


def test_a_sparse_member_does_not_unfold(shard):
    header = bytearray(tar_member("0.jpg", kind=b"S"))
    header[386:398] = b"%011o\0" % 0  # the archive's sparse file has one hole
    header[483:495] = b"\x80" + struct.pack(">3xQ", 2**50)  # and a size of one pebibyte
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(DataError, match="is sparse, as no image is"):
        read(shard(bytes(header)))


def test_no_shards(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.tar file"):
        WebDatasetShards(tmp_path)
    with pytest.raises(DataError, match="There is no file"):
        WebDatasetShards(tmp_path / "none.tar")
