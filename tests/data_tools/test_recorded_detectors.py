"""The manifest records which detector made each crop, even if it is a user's own detector."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from data_tools.aligning import align_dataset
from data_tools.importing.folder import import_folder
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import ManifestFile
from mfr.errors import ConfigError

OUTSIDE = """
from tests.data_tools.conftest import FakeDetector

class Mine(FakeDetector):
    name = "users_detectors:Mine"

    def __init__(self, *, device, min_face_fraction):
        super().__init__(device=device, min_face_fraction=min_face_fraction)
"""


def test_a_detector_from_outside_is_named_and_recorded(tmp_path, make_photos, monkeypatch):
    (tmp_path / "users_detectors.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    photos = make_photos({"a/1.png": 1, "a/2.png": 0, "b/1.png": 2})
    import_folder(photos, tmp_path / "ds", domain="d")
    align_dataset(tmp_path / "ds", detector="users_detectors:Mine", on_miss="resize")
    manifest = Manifest.read(tmp_path / "ds")
    found = dict(zip(manifest.column("path"), manifest.column("detector"), strict=True))
    assert [found[path] for path in sorted(found)] == [
        "users_detectors:Mine",
        None,  # the whole photo was resized
        "users_detectors:Mine",
    ]
    with pytest.raises(ConfigError, match="cannot be imported"):
        align_dataset(tmp_path / "ds", detector="users_detectors:Theirs")


def test_a_manifest_from_before_detectors_were_recorded_is_read(tmp_path, make_photos):
    dataset = tmp_path / "ds"
    import_folder(make_photos({"a/1.png": 1, "b/1.png": 1}), dataset, domain="d")
    path = dataset / "manifest.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["detector"]), path)
    manifest = Manifest.read(dataset)
    assert manifest.column("detector") == [None] * len(manifest)
    assert len(list(ManifestFile.open(dataset).tables(["path", "detector"]))) == 1
