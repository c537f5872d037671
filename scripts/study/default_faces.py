"""Every face of a folder of photos, embedded as the default recogniser and a peer do it; kept.

Both see the same detections. Masks are drawn on the crops, as 'mfr data simulate' does it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from mfr.atomic import replacing
from mfr.backbones.input import chip_input, network_input
from mfr.encoder import Encoder
from mfr.errors import FaceError, ImageError
from mfr.faces import FaceCropper, build_detector
from mfr.faces.turning import TurningDetector
from mfr.images import read_image
from mfr.pretrained.dlib_resnet import DLIB_RESNET
from mfr.simulation.draws import Draws
from mfr.simulation.mask_drawing import draw_mask
from mfr.simulation.pose_in_crop import pose_in_crop

MASKED: Final = "_masked"
"""Added to the name of a domain whose faces wear drawn masks."""

_BATCH: Final = 16
_ENDINGS: Final = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Found:
    """The main face of every photo of a domain in which one was found.

    Attributes:
        paths: of the photos, below the domain's folder.
        persons: who each shows, the same across domains.
        photos: how many photos there are, with those in which no face was found.
        views: (n, 128) features of the face and (n, 128) of its mirror image, cut from the photo;
            with masks, from the crop.
        crop_views: the same, of the crops.
        peer: (n, d) embeddings of the peer.
        crops: (n, 112, 112, 3) uint8.
    """

    paths: list[str]
    persons: list[str]
    photos: int
    views: tuple[NDArray[np.float32], NDArray[np.float32]]
    crop_views: tuple[NDArray[np.float32], NDArray[np.float32]]
    peer: NDArray[np.float32]
    crops: NDArray[np.uint8]

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, 128) as the default recogniser gives them: the views added up, of unit length."""
        return unit(self.views[0] + self.views[1])


def default_encoder() -> Encoder:
    """The default recogniser's, without the calibration that is to be measured."""
    weights = DLIB_RESNET.read(DLIB_RESNET.fetch())
    return Encoder.from_weights(weights, DLIB_RESNET.backbone)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows, of unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def find_faces(faces: Path, domain: str, encoder: Encoder, peer: Encoder, kept: Path) -> Found:
    """Those of ``faces/domain``, from the file of an earlier run in ``kept`` if there is one.

    Args:
        faces: a folder of domains, with people.csv, which says who is one person.
        domain: a folder of it, or its name with `MASKED`.
        encoder: the default recogniser's.
        peer: the other model's.
        kept: where files of earlier runs are.
    """
    path = kept / f"{domain}.npz"
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        if domain.endswith(MASKED):
            whole = find_faces(faces, domain.removesuffix(MASKED), encoder, peer, kept)
            _keep_masked(path, whole, encoder, peer, kept)
        else:
            _keep(path, faces / domain, encoder, peer)
    with np.load(path) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    people = _people(faces, domain.removesuffix(MASKED))
    paths = [str(one) for one in content["paths"]]
    return Found(
        paths,
        [people[one.split("/")[0]] for one in paths],
        int(content["photos"]),
        (content["view"], content["mirrored"]),
        (content["crop_view"], content["crop_mirrored"]),
        content["peer"],
        content["crops"],
    )


def _people(faces: Path, domain: str) -> dict[str, str]:
    with (faces / "people.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["identity"]: row["person"]
            for row in csv.DictReader(file)
            if row["domain"] == domain
        }


def _keep(path: Path, root: Path, encoder: Encoder, peer: Encoder) -> None:
    files = sorted(one for one in root.rglob("*") if one.suffix.lower() in _ENDINGS)
    cropper = FaceCropper(TurningDetector(build_detector("mtcnn")), encoder.geometry)
    names, rows = [], []
    for start in range(0, len(files), _BATCH):
        images, shown = [], []
        for file in files[start : start + _BATCH]:
            try:
                images.append(read_image(file))
            except ImageError:
                continue
            shown.append(str(file.relative_to(root)))
        found = [
            (name, each[0])
            for name, each in zip(shown, cropper.crop(images, "main"), strict=True)
            if each
        ]
        if not found:
            continue
        chips = np.stack([each.chip for _, each in found if each.chip is not None])
        crops = np.stack([each.crop for _, each in found])
        names += [name for name, _ in found]
        rows.append(
            {
                **_views(encoder, chips, "view", "mirrored", of_chips=True),
                **_views(encoder, crops, "crop_view", "crop_mirrored", of_chips=False),
                "peer": peer.embed(crops),
                "crops": crops,
                "landmarks": np.stack([each.face.landmarks for _, each in found]),
                "probability": np.array([each.face.probability for _, each in found]),
            }
        )
    content = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
    _save(path, {**content, "paths": np.array(names), "photos": np.array(len(files))})


@torch.inference_mode()
def _views(
    encoder: Encoder, faces: NDArray[np.uint8], view: str, mirrored: str, *, of_chips: bool
) -> dict[str, NDArray[np.float32]]:
    prepare = chip_input if of_chips else network_input
    images = prepare(torch.from_numpy(faces), encoder.geometry)
    features = encoder.network(torch.cat([images, images.flip(3)])).numpy()
    return {view: features[: len(faces)], mirrored: features[len(faces) :]}


def _keep_masked(path: Path, whole: Found, encoder: Encoder, peer: Encoder, kept: Path) -> None:
    domain = path.stem.removesuffix(MASKED)
    with np.load(kept / f"{domain}.npz") as arrays:
        landmarks, probability = arrays["landmarks"], arrays["probability"]
    names, drawn = [], []
    for name, crop, points, sure in zip(
        whole.paths, whole.crops, landmarks, probability, strict=True
    ):
        row = {"landmarks": points.tolist(), "path": name, "crop": None, "probability": sure}
        try:
            pose = pose_in_crop(row)
        except FaceError:
            continue
        drawn.append(draw_mask(crop, pose, Draws(0, f"mask {domain}/{name}")).crop)
        names.append(name)
    views, peers = [], []
    for start in range(0, len(drawn), _BATCH):
        crops = np.stack(drawn[start : start + _BATCH])
        views.append(_views(encoder, crops, "view", "mirrored", of_chips=False))
        peers.append(peer.embed(crops))
    content = {key: np.concatenate([each[key] for each in views]) for key in views[0]}
    _save(
        path,
        {
            **content,
            "paths": np.array(names),
            "photos": np.array(len(whole.paths)),
            "crop_view": content["view"],
            "crop_mirrored": content["mirrored"],
            "peer": np.concatenate(peers),
            "crops": np.stack(drawn),
        },
    )


def _save(path: Path, content: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as new, new.open("wb") as file:
        np.savez(file, allow_pickle=False, **content)
