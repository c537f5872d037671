import pytest

from data_tools.importing.adding import DomainImport
from data_tools.importing.meglass import import_meglass
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError

WHO = ("10032527@N08_identity_4", "10069023@N00_identity_14")


@pytest.fixture
def meglass(tmp_path, make_photos):
    """Two people, each with two images of each kind, of which the first is in the gallery."""
    names = {(who, g, k): f"{who}@{g}{k}_0.jpg" for who in WHO for g in (0, 1) for k in (1, 2)}
    folder = make_photos({f"MeGlass_120x120/{name}": 1 for name in names.values()}, "m").resolve()
    meta = [f"{name} {g}" for (_, g, _), name in names.items()] + [f"{WHO[0]}@99_0.jpg 0"]
    (folder / "meta.txt").write_text("\n".join(meta) + "\n")
    (folder / "test").mkdir()
    for role, k in (("gallery", 1), ("probe", 2)):
        for kind, g in (("no_glass", 0), ("black_glass", 1)):
            lines = "".join(f"{names[who, g, k]}\n" for who in WHO)
            (folder / f"test/{role}_{kind}.txt").write_text(lines)
    return folder


def test_glasses_make_domains_and_the_lists_four_protocols(tmp_path, meglass):
    result = import_meglass(meglass, tmp_path / "ds")
    assert result.domains == [
        DomainImport("meglass_glasses", identities=2, people=2, images=4, added=4),
        DomainImport("meglass_plain", identities=2, people=2, images=4, added=4),
    ]
    assert result.ignored == 1  # listed in meta.txt but missing
    assert result.protocols == [f"meglass-{n}" for n in (1, 2, 3, 4)]
    manifest = Manifest.read(tmp_path / "ds")
    assert set(manifest.column("identity")) == set(WHO)
    domain = dict(zip(manifest.column("path"), manifest.column("domain"), strict=True))
    expected = {1: ("plain", "plain"), 2: ("glasses", "glasses"), 3: ("plain", "glasses")}
    for number, kinds in expected.items():
        protocol = GalleryProbeProtocol.read(tmp_path / "ds", f"meglass-{number}")
        seen = {
            role: {domain[path] for r, path in rows(protocol) if r == role}
            for role in ("gallery", "probe")
        }
        assert seen == {
            r: {f"meglass_{k}"} for r, k in zip(("gallery", "probe"), kinds, strict=True)
        }
    mixed = GalleryProbeProtocol.read(tmp_path / "ds", "meglass-4")
    assert mixed.column("role") == ["gallery"] * 4 + ["probe"] * 4


def rows(protocol):
    return list(zip(protocol.column("role"), protocol.column("path"), strict=True))


@pytest.mark.parametrize("line", ["a@b@c.jpg", "a@b@c.jpg 2", "a.jpg 1", "../a@b@c.jpg 1"])
def test_wrong_lines_are_named(tmp_path, meglass, line):
    (meglass / "meta.txt").write_text(line)
    with pytest.raises(DataError, match=r"meta.txt, line 1: expected"):
        import_meglass(meglass, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_protocol_images_must_be_there_and_in_meta(tmp_path, meglass):
    lines = (meglass / "meta.txt").read_text().splitlines()
    (meglass / "meta.txt").write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="that the manifest lacks"):
        import_meglass(meglass, tmp_path / "ds")
    with pytest.raises(DataError, match="is missing: unpack"):
        import_meglass(meglass, tmp_path / "ds", images=tmp_path)
