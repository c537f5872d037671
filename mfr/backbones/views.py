"""A face seen as it is and mirrored, and the features of both made one (flip fusion)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mfr.geometry import FlipFusion


def fused_features(
    faces: torch.Tensor,
    features_of: Callable[[torch.Tensor], torch.Tensor],
    fusion: FlipFusion,
) -> torch.Tensor:
    """Features of faces, not normalised.

    Args:
        faces: (N, height, width, 3), of any type that ``features_of`` takes.
        features_of: faces -> (N, d).
        fusion: True for those of both views one after the other, (N, 2 d) (Guo et al., CVPR 2020,
            section 4.1); 'sum' for their sum, False for those of the face as it is, (N, d).
    """
    if not fusion:
        return features_of(faces)
    both = features_of(torch.cat([faces, faces.flip(2)]))
    straight, mirrored = both.unflatten(0, (2, -1))
    if fusion == "sum":
        return straight + mirrored
    return torch.cat([straight, mirrored], dim=1)
