import pytest

from data_tools.importing.adding import DomainImport
from data_tools.importing.nir_vis import import_nir_vis
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol, protocol_names
from mfr.errors import DataError


@pytest.fixture
def nir_vis(tmp_path, make_photos):
    """People 1 and 2 are for testing in fold 1 and for training in fold 2; others vice versa."""
    files = [
        f"s1/{kind}/{p:05d}/00{k}" for p in (1, 2, 3, 4) for kind in ("NIR", "VIS") for k in (1, 2)
    ]
    folder = make_photos({f"{name}.{'bmp' if 'NIR' in name else 'jpg'}": 1 for name in files}, "n")
    (folder / "protocols").mkdir()
    for fold, tested, trained in ((1, (1, 2), (3, 4)), (2, (3, 4), (1, 2)), ("dev", (1,), (2,))):
        for name, people, kind in (
            ("vis_gallery", tested, "VIS"),
            ("nir_probe", tested, "NIR"),
            ("vis_train", trained, "VIS"),
            ("nir_train", trained, "NIR"),
        ):
            images = (1,) if name == "vis_gallery" else (1, 2)
            lines = [rf"s1\{kind}\{p:05d}\00{k}.bmp" for p in people for k in images]
            (folder / f"protocols/{name}_{fold}.txt").write_text("\r\n".join(lines) + "\r\n")
    return folder


def test_two_domains_of_the_same_people_and_folds_of_searches(tmp_path, nir_vis):
    result = import_nir_vis(nir_vis, tmp_path / "ds")
    assert result.domains == [
        DomainImport("nir", identities=4, people=4, images=8, added=8),
        DomainImport("vis", identities=4, people=4, images=8, added=8),
    ]
    assert protocol_names(tmp_path / "ds") == ["nir-vis", "nir-vis-dev"]
    manifest = Manifest.read(tmp_path / "ds")
    assert set(manifest.column("person")) == {f"nir-vis {p:05d}" for p in (1, 2, 3, 4)}
    assert all(path.is_file() for path in manifest.photo_paths())  # .jpg where the list has .bmp
    protocol = GalleryProbeProtocol.read(tmp_path / "ds", "nir-vis")
    assert protocol.folds == 2
    rows = list(zip(*(protocol.column(name) for name in ("fold", "role", "path")), strict=True))
    assert rows[:2] == [
        (0, "gallery", "../n/s1/VIS/00001/001.jpg"),
        (0, "gallery", "../n/s1/VIS/00002/001.jpg"),
    ]
    assert rows[-1] == (1, "probe", "../n/s1/NIR/00004/002.bmp")
    assert [role for fold, role, _ in rows if fold == 0].count("probe") == 4
    assert import_nir_vis(nir_vis, tmp_path / "ds").domains[0].added == 0


def test_the_crops_that_come_with_it_will_do(tmp_path, nir_vis):
    for kind in ("NIR", "VIS"):
        (nir_vis / "s1" / kind).rename(nir_vis / "s1" / f"{kind}_128x128")
    import_nir_vis(nir_vis, tmp_path / "ds")
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.domains == ["nir", "vis"]
    assert manifest.column("path")[0] == "../n/s1/VIS_128x128/00001/001.jpg"


def test_what_is_missing_is_named(tmp_path, nir_vis):
    (nir_vis / "s1/NIR/00003/002.bmp").unlink()
    with pytest.raises(
        DataError, match=r"nir_probe_2.txt, line 2: .*s1/NIR/00003/002.bmp is missing"
    ):
        import_nir_vis(nir_vis, tmp_path / "ds")
    (nir_vis / "protocols/nir_probe_1.txt").unlink()
    with pytest.raises(DataError, match=r"nir_probe_1.txt cannot be read"):
        import_nir_vis(nir_vis, tmp_path / "ds")
    with pytest.raises(DataError, match=r"has no lists vis_gallery_1\.txt"):
        import_nir_vis(tmp_path, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize("line", [r"..\secret\001.bmp", r"C:\s1\NIR\1.bmp", "/etc/passwd"])
def test_lists_stay_in_their_folder(tmp_path, nir_vis, line):
    (nir_vis / "protocols/nir_probe_1.txt").write_text(line)
    with pytest.raises(DataError, match="line 1"):
        import_nir_vis(nir_vis, tmp_path / "ds")
