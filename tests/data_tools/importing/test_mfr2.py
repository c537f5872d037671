import pytest

from data_tools.importing.adding import DomainImport
from data_tools.importing.mfr2 import LICENCE, import_mfr2, read_masks
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError

FILES = {f"{name}/{name}_{k:04d}.png": 1 for name in ("AnnB", "CyD") for k in (1, 2)}


@pytest.fixture
def mfr2(tmp_path, make_photos):
    folder = make_photos(FILES, "mfr2")
    pairs = (
        "AnnB 1 2\nAnnB 1 CyD 2\nCyD 1 2\nCyD 1 AnnB 2\n"  # mated and non-mated pairs in any order
    )
    (folder / "pairs.txt").write_text(pairs.replace(" ", ", "))
    (folder / "mfr2_labels.txt").write_text("AnnB, 1, surgical\nAnnB, 2, no-mask\nCyD, 2, N95\n")
    return folder


def test_masks_make_domains_of_the_same_people_and_the_pairs_one_fold(tmp_path, mfr2):
    result = import_mfr2(mfr2, tmp_path / "ds")
    assert result.domains == [
        DomainImport(
            "mfr2", identities=1, people=1, images=1, added=1
        ),  # the image without a label
        DomainImport("mfr2_masked", identities=2, people=2, images=2, added=2),
        DomainImport("mfr2_plain", identities=1, people=1, images=1, added=1),
    ]
    assert (result.protocols, result.ignored) == (["mfr2"], 0)
    manifest = Manifest.read(tmp_path / "ds")
    assert set(manifest.column("person")) == {"annb", "cyd"}
    assert manifest.notes["licences"] == dict.fromkeys(manifest.domains, LICENCE)
    protocol = PairProtocol.read(tmp_path / "ds", "mfr2")
    assert protocol.folds == 1
    assert protocol.column("mated") == [True, False, True, False]
    assert import_mfr2(mfr2, tmp_path / "ds").domains[1].added == 0


def test_without_labels_it_is_one_domain(tmp_path, mfr2):
    (mfr2 / "mfr2_labels.txt").unlink()
    assert [part.domain for part in import_mfr2(mfr2, tmp_path / "ds").domains] == ["mfr2"]


def test_what_is_wrong_is_named(tmp_path, mfr2):
    labels = mfr2 / "mfr2_labels.txt"
    labels.write_text("AnnB, one, surgical\n")
    with pytest.raises(DataError, match=r"mfr2_labels.txt, line 1: expected 'Name, 1, mask'"):
        import_mfr2(mfr2, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()
    with pytest.raises(DataError, match="cannot be read"):
        read_masks(mfr2 / "none.txt")
    (mfr2 / "pairs.txt").unlink()
    with pytest.raises(DataError, match=r"pairs\.txt cannot be read"):
        import_mfr2(mfr2, tmp_path / "ds")
