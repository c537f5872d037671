"""FaceNet's weights: downloaded once, or put into their folder by hand."""

import pytest
import torch

from mfr.encoder import Encoder
from mfr.errors import ConfigError, ModelError
from mfr.models import load_encoder
from tests.test_encoder import lively


def test_offline_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("facenet_pytorch.models.utils.download.download_url_to_file", offline)
    with pytest.raises(ModelError) as error:
        load_encoder("facenet-casia-webface")
    assert "20180408-102900-casia-webface.pt" in str(error.value)
    assert f"put it into {tmp_path / 'checkpoints'}" in str(error.value)


@pytest.mark.slow
def test_a_file_put_there_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = lively("facenet")
    (tmp_path / "checkpoints").mkdir()
    torch.save(
        {
            **network.state_dict(),
            "logits.weight": torch.ones(9, 512),
            "logits.bias": torch.ones(9),
        },
        tmp_path / "checkpoints" / "20180402-114759-vggface2.pt",
    )
    encoder = load_encoder("facenet-vggface2")
    assert encoder.record.data == {"name": "VGGFace2"}
    assert encoder.calibration is None
    assert encoder.model_hash == Encoder.from_network(network, "facenet").model_hash


def test_its_folder_is_where_facenet_pytorch_looks(monkeypatch):
    from facenet_pytorch.models.inception_resnet_v1 import get_torch_home

    from mfr.pretrained import facenet

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert str(facenet._folder()) == f"{get_torch_home()}/checkpoints"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert str(facenet._folder()) == f"{get_torch_home()}/checkpoints"


def test_it_names_its_own_network():
    with pytest.raises(ConfigError, match="leave --backbone out"):
        load_encoder("facenet-vggface2", backbone="iresnet18")
