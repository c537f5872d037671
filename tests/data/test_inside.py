from __future__ import annotations

import pytest

from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError


def test_a_dataset_may_be_reached_by_a_link_but_holds_none(tmp_path):
    (tmp_path / "real/crops").mkdir(parents=True)
    (tmp_path / "ds").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "ds", "crops/d/1.png") == tmp_path / "ds/crops/d/1.png"
    (tmp_path / "real/crops/d").symlink_to(tmp_path)
    with pytest.raises(DataError, match="crops/d is a symbolic link"):
        inside(tmp_path / "ds", "crops/d/1.png")
    for place in ("../x", "/etc/x"):
        with pytest.raises(DataError, match="does not lie in"):
            inside(tmp_path / "ds", place)


def test_a_protocol_is_not_written_through_a_link(tmp_path):
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds/protocols").symlink_to(tmp_path)
    rows = [{"path": p, "identity": p, "domain": "d", "person": p} for p in "abc"]
    manifest = Manifest.empty(tmp_path / "ds").append(rows)
    pairs = [(0, "a", "b", True), (0, "a", "c", False)]
    with pytest.raises(DataError, match="is a symbolic link"):
        PairProtocol.of("p", pairs, domain="d", source="test").write(tmp_path / "ds", manifest)
    assert not (tmp_path / "p.parquet").exists()
