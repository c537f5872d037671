import json

import pyarrow.parquet as pq
import pytest

from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol, PairProtocol, protocol_names, read_protocol
from mfr.errors import DataError

PAIRS = [(0, "a1", "a2", True), (0, "a1", "b1", False), (1, "b1", "b2", True)]
PROBES = [(0, "gallery", "a1"), (0, "probe", "a2"), (1, "gallery", "a2"), (1, "probe", "b1")]


@pytest.fixture
def dataset(tmp_path):
    rows = [
        {"path": path, "identity": path[0], "domain": "web", "person": path[0]}
        for path in ("a1", "a2", "b1", "b2")
    ]
    Manifest.empty(tmp_path).append(rows).write()
    return tmp_path


def pairs(rows=PAIRS, name="web"):
    return PairProtocol.of(name, rows, domain="web", source="test pairs.txt")


def probes(rows=PROBES, name="search"):
    return GalleryProbeProtocol.of(name, rows, domain="web", source="test lists")


def test_both_kinds_come_back_as_they_were(dataset):
    assert protocol_names(dataset) == []
    pairs().write(dataset)
    probes().write(dataset)
    assert protocol_names(dataset) == ["search", "web"]
    again = PairProtocol.read(dataset, "web")
    assert (again.name, again.domain, again.source) == ("web", "web", "test pairs.txt")
    assert list(zip(*map(again.column, again.SCHEMA.names), strict=True)) == PAIRS
    assert again.folds == 2
    other = read_protocol(dataset, "search")
    assert isinstance(other, GalleryProbeProtocol) and other.table.equals(probes().table)
    with pytest.raises(DataError, match="is one of gallery and probes: one of pairs is needed"):
        PairProtocol.read(dataset, "search")


def test_the_header_says_what_it_is(dataset):
    header = json.loads(pq.read_schema(pairs().write(dataset)).metadata[b"mfr"])
    assert header == {"version": 1, "kind": "pairs", "domain": "web", "source": "test pairs.txt"}


def test_images_the_manifest_lacks_are_refused_and_nothing_is_written(dataset):
    rows = [*PAIRS, (1, "c1", "c2", True), (1, "c1", "a2", False)]
    with pytest.raises(DataError, match=r"names 2 of its 6 images that the manifest lacks.*'c1'"):
        pairs(rows).write(dataset)
    with pytest.raises(DataError, match="names 1 of its 4 images"):
        probes([*PROBES, (1, "probe", "z")]).write(dataset)
    assert protocol_names(dataset) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty"),
        ([(0, "a1", None, True)], "empty field"),
        ([(0, "a1", "a2", True), (2, "a1", "b1", False)], "nothing in fold 1"),
        ([(-1, "a1", "a2", True), (0, "a1", "b1", False)], "nothing in fold -1"),
        ([(1, "a1", "a2", True), (1, "a1", "b1", False)], "nothing in fold 0"),
        ([(0, "a1", "b1", False)], "only non-mated pairs"),
        ([(0, "a1", "a2", True)], "only mated pairs"),
        ([*PAIRS, (0, "a1", "a1", True)], "compares 'a1' with itself"),
    ],
)
def test_wrong_pairs(rows, words):
    with pytest.raises(DataError, match=words):
        pairs(rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*PROBES, (0, "train", "b2")], "a role 'train'"),
        ([*PROBES, (0, "probe", "a1")], "lists 'a1' twice in fold 0"),
        ([*PROBES, (2, "probe", "a1")], "no gallery or no probes in fold 2"),
    ],
)
def test_wrong_galleries(rows, words):
    with pytest.raises(DataError, match=words):
        probes(rows)


def test_what_cannot_be_read(dataset):
    with pytest.raises(DataError, match="has no protocol web: import"):
        read_protocol(dataset, "web")
    path = pairs().write(dataset)
    with pytest.raises(DataError, match="has no protocol lfw: it has web"):
        read_protocol(dataset, "lfw")
    with pytest.raises(DataError, match="cannot name a protocol"):
        read_protocol(dataset, "../manifest")
    whole = path.read_bytes()
    for damaged in (whole[:100], b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged or no MFR protocol"):
            read_protocol(dataset, "web")
    for header, words in (
        ({}, "damaged or no MFR protocol"),
        ({"version": 7}, "protocol version 7"),
        ({"version": 1, "kind": "triplets", "domain": "web", "source": ""}, "damaged"),
        ({"version": 1, "kind": "gallery and probes", "domain": "web", "source": ""}, "damaged"),
    ):
        table = pairs().table.replace_schema_metadata({"mfr": json.dumps(header)})
        pq.write_table(table, path)
        with pytest.raises(DataError, match=words):
            read_protocol(dataset, "web")
