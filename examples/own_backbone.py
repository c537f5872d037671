"""A network of your own as a model file: built, saved, loaded and embedded with.

python examples/own_backbone.py
"""

import numpy as np
import torch
from torch import nn

from mfr import Encoder
from mfr.backbones import BackboneSpec, build_backbone
from mfr.geometry import CropGeometry


def tiny(embedding_size: int = 64) -> nn.Module:
    """A network for faces of 56 x 56 pixels."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5, stride=4), nn.BatchNorm2d(16), nn.PReLU(16)),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, embedding_size)),
    )


TINY = BackboneSpec(tiny, CropGeometry(height=56, width=56), embedding_size=64)


def main() -> None:
    # Outside MFR a backbone is named by its place; this file is imported under its own name here,
    # and in a package of yours it would be my_package.networks:TINY.
    place = "examples.own_backbone:TINY"
    torch.manual_seed(0)
    encoder = Encoder.from_network(build_backbone(place), place)
    encoder.save("tiny.safetensors")

    again = Encoder.load("tiny.safetensors", backbone=place)
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    embeddings = again.embed(crops)
    print(
        f"{again.record.backbone}: embeddings {embeddings.shape}, same model:",
        again.model_hash == encoder.model_hash,
    )
    print(f"cosine of two random crops: {float(embeddings[0] @ embeddings[1]):.3f}")


if __name__ == "__main__":
    main()
