"""Which face of a photo with several is the one that is meant: four rules against each other.

With `--lfw`, it prints the ten-fold accuracy on LFW's View 2 (Huang et al., UMass TR 07-49, 2007),
whose photos often show bystanders. With `--photos`, a folder of photos of one face each by
identity, it makes group photos of them (a subject near the centre, and beside it one to three
bystanders of 0.5 to 1.4 times its size) and prints in how many each rule takes the subject.

    python -m scripts.study.face_choice WEIGHTS --lfw LFW --pairs PAIRS --photos PHOTOS
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from data_tools.aligning import MIN_FACE_FRACTION
from data_tools.checking.face_agreement import find_better_faces, find_disagreeing
from data_tools.checking.people import People
from data_tools.importing.folder import import_folder
from data_tools.importing.lfw import import_lfw
from mfr.benchmark.metrics import fold_accuracy
from mfr.data.manifest import Manifest
from mfr.data.pair_list import pair_protocol, read_pair_list
from mfr.encoder import Encoder
from mfr.faces import Face, FaceCropper, align_face, build_detector
from mfr.faces.choice import FaceChoice, choose_faces
from mfr.images import read_image
from mfr.models import load_encoder
from mfr.png import write_png
from mfr.random_bits import RandomBits
from scripts.lib.command_line import command

RULES: Final[tuple[FaceChoice, ...]] = ("largest", "central", "main")
CONSISTENT: Final = "consistent"
CANVAS: Final = (480, 960)
"""The height and width of a group photo, in pixels."""
_SUBJECT: Final = 200  # the height of the subject's photo in it
_SIZES: Final = (0.5, 1.4)
_BATCH: Final = 64


@dataclass(frozen=True)
class Chosen:
    """What a rule takes of every photo.

    Attributes:
        faces: for each row, the face, or None where none was found.
        embeddings: (rows, D), zero where none was found.
        again: how many photos were read again.
    """

    faces: list[Face | None]
    embeddings: NDArray[np.float32]
    again: int = 0


def choose_by_all_rules(
    manifest: Manifest, encoder: Encoder, cropper: FaceCropper
) -> dict[str, Chosen]:
    """What each rule takes of the photos of ``manifest``, all of whose faces are found once."""
    faces: dict[str, list[Face | None]] = {rule: [] for rule in RULES}
    embeddings: dict[str, list[NDArray[np.float32]]] = {rule: [] for rule in RULES}
    nothing = np.zeros(encoder.embedding_size, np.float32)
    for images in _read(manifest.photo_paths()):
        for image, found in zip(images, cropper.detector.detect(images), strict=True):
            if not found:
                for rule in RULES:
                    faces[rule].append(None)
                    embeddings[rule].append(nothing)
                continue
            made = encoder.embed(np.stack([align_face(image, face.landmarks) for face in found]))
            for rule in RULES:
                face = choose_faces(found, image, rule)[0]
                faces[rule].append(face)
                embeddings[rule].append(made[[face is one for one in found].index(True)])
    chosen: dict[str, Chosen] = {
        rule: Chosen(faces[rule], np.stack(embeddings[rule])) for rule in RULES
    }
    chosen[CONSISTENT] = _consistent(chosen["main"], manifest, encoder, cropper)
    return chosen


def _consistent(main: Chosen, manifest: Manifest, encoder: Encoder, cropper: FaceCropper) -> Chosen:
    """The main faces, but those exchanged that `mfr data align --face consistent` exchanges."""
    aligned = manifest.with_columns(
        {
            "alignment": ["missed" if face is None else "detected" for face in main.faces],
            "crop": [None if face is None else "crops/x.png" for face in main.faces],
            "landmarks": [
                None if face is None else face.landmarks.ravel().tolist() for face in main.faces
            ],
            "probability": [None if face is None else face.probability for face in main.faces],
        }
    )
    rows = np.flatnonzero([face is not None for face in main.faces])
    people = People.of(aligned, rows, main.embeddings[rows])
    disagreeing = find_disagreeing(people, aligned)
    faces, embeddings = list(main.faces), main.embeddings.copy()
    for one in find_better_faces(disagreeing, people, aligned, encoder, cropper):
        faces[one.row] = one.found.face
        embeddings[one.row] = encoder.embed(one.found.crop[None])[0]
    return Chosen(faces, embeddings, sum(len(one.positions) for one in disagreeing))


def _read(paths: Sequence[Path]) -> Iterator[list[np.ndarray]]:
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(paths), _BATCH):
            yield list(pool.map(read_image, paths[start : start + _BATCH]))


@dataclass(frozen=True)
class GroupPhoto:
    """A photo of several people, (H, W, 3), and where the subject's picture stands in it."""

    pixels: np.ndarray
    subject: tuple[int, int, int, int]

    def shows(self, face: Face) -> bool:
        """Whether the face's centre is in the subject's picture."""
        left, top, right, bottom = self.subject
        x, y = (face.box[:2] + face.box[2:]) / 2
        return bool(left <= x < right and top <= y < bottom)


def make_group_photo(
    subject: np.ndarray, bystanders: Sequence[np.ndarray], bits: RandomBits
) -> GroupPhoto:
    """A group photo: the subject near the centre, the others beside it, left and right in turn."""
    height, width = CANVAS
    canvas = np.full((height, width, 3), 128, np.uint8)
    picture = _scaled(subject, _SUBJECT)
    dx, dy = bits.uniform(2)
    # At most a tenth of the photo's sides away from its centre.
    left = int(width / 2 + (dx - 0.5) * width / 5 - picture.shape[1] / 2)
    top = int(height / 2 + (dy - 0.5) * height / 5 - _SUBJECT / 2)
    right = left + picture.shape[1]
    canvas[top : top + _SUBJECT, left:right] = picture
    edges = [left, right]
    low, high = _SIZES
    side = bits.below(2)
    for bystander in bystanders:
        other = _scaled(bystander, int(_SUBJECT * (low + (high - low) * bits.uniform(1)[0])))
        tall, wide = other.shape[:2]
        y = bits.below(height - tall + 1)
        x = edges[0] - wide if side == 0 else edges[1]
        edges = [x, edges[1]] if side == 0 else [edges[0], x + wide]
        # What does not fit is cut off by the edge of the photo, as it is in life.
        begin, end = max(x, 0), min(x + wide, width)
        if begin < end:
            canvas[y : y + tall, begin:end] = other[:, begin - x : end - x]
        side = 1 - side
    return GroupPhoto(canvas, (left, top, right, top + _SUBJECT))


def _scaled(picture: np.ndarray, height: int) -> np.ndarray:
    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def make_group_photos(
    photos: Path, out: Path, *, people: int, each: int, seed: int
) -> dict[str, GroupPhoto]:
    """Write ``each`` group photos of each of the first ``people`` identities below ``out``.

    Returns:
        The photos by identity and file name, 'ann/00.png'; their pixels are on the disk alone.
    """
    folders = sorted(folder for folder in photos.iterdir() if folder.is_dir())[:people]
    pictures = {folder: sorted(folder.glob("*.jpg")) for folder in folders}
    pictures = {folder: paths for folder, paths in pictures.items() if len(paths) >= each}
    folders = list(pictures)
    made = {}
    for number, folder in enumerate(folders):
        for image in range(each):
            bits = RandomBits(seed, number, image)
            others = [other for other in folders if other != folder]
            beside = [others[bits.below(len(others))] for _ in range(1 + bits.below(3))]
            bystanders = [
                read_image(pictures[one][bits.below(len(pictures[one]))]) for one in beside
            ]
            photo = make_group_photo(read_image(pictures[folder][image]), bystanders, bits)
            name = f"{folder.name}/{image:02d}.png"
            write_png(out / name, photo.pixels)
            made[name] = replace(photo, pixels=np.empty(0, np.uint8))
    return made


def print_lfw(lfw: Path, pairs: Path, encoder: Encoder, cropper: FaceCropper) -> None:
    """The ten-fold accuracy of each rule on View 2."""
    with tempfile.TemporaryDirectory() as folder:
        import_lfw(lfw, Path(folder) / "lfw")
        manifest = Manifest.read(Path(folder) / "lfw")
        listed = pair_protocol(
            read_pair_list(pairs), manifest, name="lfw", domain="lfw", source=pairs.name
        )
        chosen = choose_by_all_rules(manifest, encoder, cropper)
    first, second = (
        np.asarray(pc.index_in(listed.table[name], value_set=manifest.table["path"]))
        for name in ("first", "second")
    )
    mated, folds = np.asarray(listed.table["mated"]), np.asarray(listed.table["fold"])
    print(f"LFW: {len(manifest)} photos, {len(mated)} pairs of View 2 in {listed.folds} folds.\n")
    print("| --face | accuracy | standard error | unlike main | photos read again |")
    print("|---|---|---|---|---|")
    for rule, one in chosen.items():
        scores = (one.embeddings[first] * one.embeddings[second]).sum(axis=1)
        accuracy = fold_accuracy(scores, mated, folds)
        print(
            f"| {rule} | {accuracy.mean:.2%} | {accuracy.standard_error:.2%} "
            f"| {_unlike(one, chosen['main'])} | {one.again} |"
        )
    print()


def print_groups(
    photos: Path,
    encoder: Encoder,
    cropper: FaceCropper,
    *,
    people: int,
    each: int,
    seed: int,
) -> None:
    """The share of made group photos in which each rule takes the subject."""
    with tempfile.TemporaryDirectory() as folder:
        groups = Path(folder) / "groups"
        made = make_group_photos(photos, groups, people=people, each=each, seed=seed)
        import_folder(groups, Path(folder) / "dataset", domain="groups")
        manifest = Manifest.read(Path(folder) / "dataset")
        chosen = choose_by_all_rules(manifest, encoder, cropper)
    count = len(made)
    photo_of = ["/".join(Path(path).parts[-2:]) for path in manifest.column("path")]
    print(
        f"Group photos: {count}, of {len(set(manifest.column('identity')))} people with {each} "
        f"each; one to three bystanders of {_SIZES[0]} to {_SIZES[1]} times the subject's size.\n"
    )
    print("| --face | takes the subject | a bystander | nobody | photos read again |")
    print("|---|---|---|---|---|")
    for rule, one in chosen.items():
        found = [
            None if face is None else made[name].shows(face)
            for face, name in zip(one.faces, photo_of, strict=True)
        ]
        print(
            f"| {rule} | {found.count(True) / count:.1%} | {found.count(False) / count:.1%} "
            f"| {found.count(None) / count:.1%} | {one.again} |"
        )


def _unlike(one: Chosen, main: Chosen) -> int:
    """In how many photos another face is taken than the main one."""
    return sum(
        face is not None and other is not None and not np.allclose(face.box, other.box, atol=1)
        for face, other in zip(one.faces, main.faces, strict=True)
    )


def main() -> None:
    """Choose by each rule, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--backbone", help="of a MODEL that is another program's checkpoint")
    parser.add_argument("--lfw", type=Path, help="LFW's folder of identities")
    parser.add_argument("--pairs", type=Path, help="LFW's pairs.txt, with --lfw")
    parser.add_argument("--photos", type=Path, help="photos of one face, a folder an identity")
    parser.add_argument("--people", type=int, default=100, help="subjects of group photos")
    parser.add_argument("--each", type=int, default=4, help="group photos of each")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if (arguments.lfw is None) != (arguments.pairs is None):
        parser.error("--lfw and --pairs go together")
    encoder = load_encoder(arguments.model, backbone=arguments.backbone)
    cropper = FaceCropper(build_detector("mtcnn", min_face_fraction=MIN_FACE_FRACTION))
    print(f"command: {command()}\n")
    if arguments.lfw is not None:
        print_lfw(arguments.lfw, arguments.pairs, encoder, cropper)
    if arguments.photos is not None:
        print_groups(
            arguments.photos,
            encoder,
            cropper,
            people=arguments.people,
            each=arguments.each,
            seed=arguments.seed,
        )


if __name__ == "__main__":
    main()
