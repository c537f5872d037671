"""FaceNet's Inception-ResNet v1 as facenet-pytorch builds it (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from torch import nn

from mfr.backbones.spec import BackboneSpec
from mfr.errors import ModelError
from mfr.geometry import CropGeometry

PretrainedData = Literal["vggface2", "casia-webface"]
"""What the published weights were trained on."""

_SOURCE: Final = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
_FILES: Final[dict[PretrainedData, str]] = {
    "vggface2": "20180402-114759-vggface2.pt",
    "casia-webface": "20180408-102900-casia-webface.pt",
}


def facenet(dropout: float = 0.6) -> nn.Module:
    """InceptionResnetV1: (N, 3, 160, 160) -> (N, 512), not normalised.

    Args:
        dropout: probability before the last layer, in training only.
    """
    # Imported here because it costs about a second and most backbones do without it.
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1(dropout_prob=dropout)
    # The library's forward normalises features unless it is to classify them; with the identity
    # as its classifier it hands over the raw ones, which every backbone here returns.
    network.classify = True
    network.logits = nn.Identity()
    return network


def fetch_weights(data: PretrainedData) -> Path:
    """The file of published weights, downloaded by facenet-pytorch if it is not there yet.

    It lies where that library keeps it, so the two share one copy. The
    library's own loader is not used, as it leaves ``weights_only`` to PyTorch's default.

    Raises:
        ModelError: the download failed; says which file to put into which folder.
    """
    from facenet_pytorch.models.inception_resnet_v1 import get_torch_home
    from facenet_pytorch.models.utils.download import download_url_to_file

    folder = Path(get_torch_home()) / "checkpoints"
    path = folder / _FILES[data]
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            download_url_to_file(_SOURCE + path.name, str(path), progress=False)
        except OSError as error:  # URLError and its kin among them
            raise ModelError(
                f"The weights could not be downloaded: get {_SOURCE}{path.name} on another "
                f"computer and put it into {folder}."
            ) from error
    return path


FACENET: Final = BackboneSpec(facenet, CropGeometry(height=160, width=160), embedding_size=512)
