"""The face of a photo that agrees with its identity, where the face that was cropped does not.

A photo of several people is cropped to its main face, and sometimes that is a bystander. The other
photos of the identity tell: the crop is no closer to them than strangers are, and another face of
the photo is. Only photos of such crops are read again, one search for faces each, so that the cost
beyond the embeddings of the crops is bounded by the number of crops that look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.people import Distribution, People, unit
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import ImageError
from mfr.faces import FaceCrop, FaceCropper
from mfr.images import read_image

_CLEARLY: Final = 3
"""How many robust spreads of strangers' cosines another face must agree better by."""

_FEWEST_PAIRS: Final = 30
"""The fewest pairs of an image and another person that show how alike strangers are."""

_SAME_FACE: Final = 0.5
"""Landmarks that differ by less than this share of the distance of the eyes are of one face."""


@dataclass(frozen=True)
class BetterFace:
    """A face of a photo that agrees with its identity better than the one that was cropped.

    Attributes:
        row: the photo's row in the manifest.
        position: the image's position among the people that were searched.
        cropped: the cosine of the present crop with the centre of the identity's other images.
        agrees: the cosine of the better face with that centre.
        found: the better face.
    """

    row: int
    position: int
    cropped: float
    agrees: float
    found: FaceCrop


@dataclass(frozen=True)
class Disagreeing:
    """Images of one identity whose crops disagree with it.

    Attributes:
        positions: the images, as positions among the people.
        strangers: the cosines of images with the centres of other people.
    """

    positions: list[int]
    strangers: Distribution


def find_disagreeing(people: People, manifest: Manifest) -> list[Disagreeing]:
    """The images whose crops, chosen by a detector, disagree with their identity.

    A crop disagrees where its cosine with the centre of the identity's other images is no higher
    than strangers' may be: the median of strangers plus three robust spreads. Strangers are those
    of its domain or, in a domain of few people, of the dataset; where there is hardly anybody else,
    nothing can be told.
    """
    chosen = np.array([state == "detected" for state in manifest.column("alignment")])
    # Where no detector was asked, whoever gave the landmarks said which face is meant.
    chosen &= np.array([value is not None for value in manifest.column("probability")])
    own = people.own()
    found = []
    for domain, strangers in enumerate(_strangers(people)):
        if strangers is None:
            continue
        for identity in np.flatnonzero(people.domain == domain):
            members = people.members[identity]
            low = chosen[people.rows[members]] & (own[members] < strangers.usual_high)
            if low.any():
                found.append(Disagreeing(members[low].tolist(), strangers))
    return found


def domains_without_strangers(people: People) -> list[str]:
    """The domains of which nothing can be told, because there is hardly anybody else."""
    known = zip(people.domains, _strangers(people), strict=True)
    return [domain for domain, strangers in known if strangers is None]


def find_better_faces(
    disagreeing: Sequence[Disagreeing],
    people: People,
    manifest: Manifest,
    encoder: Encoder,
    cropper: FaceCropper,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[BetterFace]:
    """Look again at the photos of crops that disagree with their identity, and only at those.

    Another face agrees clearly where its cosine with the centre of the identity's other images is
    higher than strangers' may be, and higher than the crop's by three robust spreads. Of identities
    with two photos, both disagree with each other: the one face, or the pair of faces, is taken
    that agrees best. Images are taken one after the other, the surest first, and each counts for
    the next. Photos that cannot be read are left as they are.

    Args:
        disagreeing: what `find_disagreeing` gives for the same people.
        people: the dataset's embedded images.
        manifest: the dataset.
        encoder: the model of the embeddings; embeds the other faces.
        cropper: finds them.
        on_progress: called with the number of photos read again and their total.

    Returns:
        The faces to be taken, in the order of the rows.

    Raises:
        ModelError: an embedding is not finite.
    """
    total = sum(len(one.positions) for one in disagreeing)
    done = 0
    on_progress(done, total)
    found = []
    for one in disagreeing:
        faces = {}
        for position in one.positions:
            crops = _other_faces(manifest, int(people.rows[position]), cropper)
            if crops:
                faces[position] = crops
            done += 1
            on_progress(done, total)
        found += _settle(people, faces, encoder, one.strangers)
    return sorted(found, key=lambda better: better.row)


def find_wrong_faces(people: People, better: Sequence[BetterFace]) -> Finding:
    """The finding that lists the photos of which another face agrees with the identity."""
    cases = []
    for one in sorted(better, key=lambda one: one.cropped - one.agrees):
        identity = int(people.identity[one.position])
        own = f"{people.names[identity]} ({people.domains[people.domain[identity]]})"
        rest = people.members[identity]
        left, top, right, bottom = (round(float(edge)) for edge in one.found.face.box)
        cases.append(
            Case(
                f"{own}: the face at {left}, {top} to {right}, {bottom} in the photo agrees "
                f"({one.agrees:.2f}), the one that was cropped does not ({one.cropped:.2f})",
                [
                    Strip("this", [one.row]),
                    Strip(f"others of {own}", people.rows[rest[rest != one.position]].tolist()),
                ],
                one.agrees - one.cropped,
            )
        )
    return Finding(
        "wrong-faces",
        "Crop of a bystander?",
        "warning",
        "The crop is no closer to the other images of its identity than different people are "
        "(median plus three robust spreads), and another face of the same photo is closer than "
        "that, by three spreads at least. Only photos of such crops were read again. Score: the "
        "difference of the two cosines.",
        "'mfr data align DATASET --face consistent --model MODEL' takes the faces that agree.",
        cases,
    )


def _strangers(people: People) -> list[Distribution | None]:
    """How alike strangers are in each domain; None where that is not known."""
    pooled = people.foreign_images(None)
    found: list[Distribution | None] = []
    for domain in range(len(people.domains)):
        one = people.foreign_images(domain) if people.judged(domain) else pooled
        known = one.pairs >= _FEWEST_PAIRS and bool(np.isfinite(one.median))
        found.append(one if known else None)
    return found


def _other_faces(manifest: Manifest, row: int, cropper: FaceCropper) -> list[FaceCrop]:
    """The faces of a row's photo but the one that was cropped; none if it cannot be read."""
    path = manifest.root / manifest.table["path"][row].as_py()
    try:
        image = read_image(path)
    except ImageError:
        return []
    landmarks = np.array(manifest.table["landmarks"][row].as_py(), np.float32).reshape(5, 2)
    return [
        crop
        for crop in cropper.crop([image], "all")[0]
        if np.linalg.norm(crop.face.landmarks - landmarks, axis=1).mean()
        > _SAME_FACE * crop.face.inter_ocular
    ]


def _settle(
    people: People,
    faces: Mapping[int, Sequence[FaceCrop]],
    encoder: Encoder,
    strangers: Distribution,
) -> list[BetterFace]:
    """Those of the other ``faces`` of an identity's photos, by position, that are to be taken."""
    if not faces:
        return []
    members = people.members[people.identity[next(iter(faces))]].tolist()
    chosen = {one: people.embeddings[one] for one in members}
    others = {
        one: encoder.embed(np.stack([crop.crop for crop in crops])) for one, crops in faces.items()
    }
    margin = _CLEARLY * strangers.spread

    def clear(now: float, then: float) -> bool:
        return then >= strangers.usual_high and then - now >= margin

    taken: dict[int, tuple[int, float, float]] = {}
    while True:
        moves = []
        for one in others.keys() - taken.keys():
            now, scores = _agreement(chosen, one, others[one])
            best = int(np.argmax(scores))
            if clear(now, float(scores[best])):
                moves.append((float(scores[best]) - now, -one, best, now, float(scores[best])))
        if not moves:
            break
        _, minus, best, now, then = max(moves)
        taken[-minus] = (best, now, then)
        chosen[-minus] = others[-minus][best]
    if len(members) == 2 and len(others) == 2 and not taken:
        first, second = members
        scores = others[first] @ others[second].T
        a, b = np.unravel_index(int(np.argmax(scores)), scores.shape)
        now, then = float(chosen[first] @ chosen[second]), float(scores[a, b])
        if clear(now, then):
            taken = {first: (int(a), now, then), second: (int(b), now, then)}
    return [
        BetterFace(int(people.rows[one]), one, now, then, faces[one][best])
        for one, (best, now, then) in taken.items()
    ]


def _agreement(
    chosen: Mapping[int, NDArray[np.float32]], one: int, faces: NDArray[np.float32]
) -> tuple[float, NDArray[np.float32]]:
    """The cosines of the chosen face of image ``one`` and of ``faces`` with the others' centre."""
    others = np.sum([vector for image, vector in chosen.items() if image != one], axis=0)
    centre = unit(others[None].astype(np.float32))[0]
    return float(chosen[one] @ centre), faces @ centre
