import pytest

from data_tools.importing.adding import DomainImport
from data_tools.importing.ivs import import_ivs
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError


def test_documents_are_the_gallery_and_spot_photos_the_probes(tmp_path, make_photos):
    photos = make_photos(
        {f"{p}/{name}.jpg": 1 for p in ("001", "002") for name in ("id", "a", "b")}
    )
    gallery, probes = tmp_path / "id.txt", tmp_path / "spot.txt"
    gallery.write_text("001/id.jpg\n002/id.jpg 2\n\n002/id.jpg\n")  # a repeated line has no effect
    probes.write_text("001/a.jpg\n001/b.jpg\n002/a.jpg\n")
    result = import_ivs(photos, tmp_path / "ds", gallery=gallery, probes=probes)
    assert result.domains == [
        DomainImport("ivs_id", identities=2, people=2, images=2, added=2),
        DomainImport("ivs_spot", identities=2, people=2, images=3, added=3),
    ]
    protocol = GalleryProbeProtocol.read(tmp_path / "ds", "ivs")
    assert protocol.column("role") == ["gallery"] * 2 + ["probe"] * 3
    assert protocol.source == "ivs id.txt, spot.txt"
    probes.write_text("001/id.jpg\n")
    with pytest.raises(DataError, match=r"001/id.jpg is in .*id.txt and in .*spot.txt"):
        import_ivs(photos, tmp_path / "ds", gallery=gallery, probes=probes)
    probes.write_text("\n")
    with pytest.raises(DataError, match="names no images"):
        import_ivs(photos, tmp_path / "ds", gallery=gallery, probes=probes)


def test_folders_inside_an_identity_do_not_change_who_it_is(tmp_path, make_photos):
    photos = make_photos(
        {f"{p}/{name}.jpg": 1 for p in ("ann", "bob") for name in ("id", "day1/a", "day1/b")}
    )
    gallery, probes = tmp_path / "id.txt", tmp_path / "spot.txt"
    gallery.write_text("ann/id.jpg\nbob/id.jpg\n")
    probes.write_text("ann/day1/a.jpg\nbob/day1/b.jpg\n")
    import_ivs(photos, tmp_path / "ds", gallery=gallery, probes=probes)
    assert Manifest.read(tmp_path / "ds").column("identity") == ["ann", "bob"] * 2
    for lists, words in [
        (("photos/ann/id.jpg\n", "photos/bob/day1/b.jpg\n"), "everybody is photos"),
        (("ann.jpg\n", "photos/bob/id.jpg\n"), "in no identity's folder"),
    ]:
        gallery.write_text(lists[0])
        probes.write_text(lists[1])
        (tmp_path / "ann.jpg").touch()
        with pytest.raises(DataError, match=words):
            import_ivs(tmp_path, tmp_path / "other", gallery=gallery, probes=probes)
