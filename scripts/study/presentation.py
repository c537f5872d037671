"""How often `mfr watch --live-check` takes a picture for a head, and a head for none (ISO 30107-3).

There are no filmed faces here, so videos of a dozen frames are made (`scripts.lib.head_videos`): of
photographs of LFW, one of each person, wrapped around the generic head, which turns; of drawn heads
that turn and blink; and, as attacks, of the same photographs held flat or bent before the camera
and turned. What is used is chosen on half of the people, and measured on the others.

    MFR_SHARED=SHARED python -m scripts.study.presentation
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mfr.errors import FaceError
from mfr.faces import build_detector
from mfr.faces.choice import choose_faces
from mfr.images import read_image
from mfr.watching.liveness import LIVE, MOVED, STILL, LiveCheck, check
from scripts.lib.head_videos import motion, of_drawn_head, of_picture, of_wrapped_photo
from scripts.lib.proportions import clopper_pearson

FRAMES: Final = 12
HEADS: Final = (5.0, 10.0, 15.0, 20.0)
"""The degrees by which heads turn."""

PICTURES: Final = (
    ("screen or print, held still", 3.0, 0.0),
    ("screen or print, turned", 15.0, 0.0),
    ("screen or print, turned", 30.0, 0.0),
    ("print, turned and bent", 15.0, 30.0),
    ("print, turned and bent", 30.0, 60.0),
)
"""The attacks: what it is, the degrees by which it turns, and those by which it is bent."""

WANTED: Final = 0.01
"""The share of attacks that may be accepted."""


_FIRST_DRAWN: Final = 1000
"""The number of the first drawn head; those of small numbers were looked at while this was made."""


class Video(NamedTuple):
    """A video that was judged: whether of a head, of what kind, and what was found."""

    head: bool
    kind: str
    degrees: float
    found: LiveCheck


def main() -> None:
    """Judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--drawn", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    videos: tuple[list[Video], list[Video]] = ([], [])
    seconds: list[float] = []
    for number, (photo, landmarks) in enumerate(_photos(options.people, rng)):
        videos[number % 2].extend(_of_photo(photo, landmarks, rng, seconds))
    for number in range(options.drawn):
        for degrees in HEADS:
            crops = list(of_drawn_head(_FIRST_DRAWN + number, motion(FRAMES, degrees, rng), rng))
            videos[number % 2].append(Video(True, "drawn head", degrees, _timed(crops, seconds)))
    _print_choice(videos[0])
    _print_shares(videos[1])
    print(f"\n{1e3 * np.median(seconds) / FRAMES:.1f} ms a frame, median.")


def _photos(people: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A photograph of each of so many people, and its landmarks (5, 2)."""
    folder = Path(os.environ["MFR_SHARED"]) / "data" / "faces" / "lfw"
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    detector = build_detector("yunet")
    for place in rng.permutation(len(folders))[:people]:
        photo = read_image(min(folders[place].iterdir()))
        faces = choose_faces(detector.detect([photo])[0], photo, "main")
        if faces:
            yield photo, faces[0].landmarks.astype(np.float64)


def _of_photo(
    photo: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator, seconds: list[float]
) -> Iterator[Video]:
    for degrees in HEADS:
        try:
            crops = list(of_wrapped_photo(photo, landmarks, motion(FRAMES, degrees, rng), rng))
        except FaceError:  # of landmarks that fit no head
            return
        yield Video(True, "photo on a head", degrees, _timed(crops, seconds))
    for kind, degrees, bend in PICTURES:
        crops = list(of_picture(photo, landmarks, motion(FRAMES, degrees, rng), bend, rng))
        yield Video(False, kind, degrees, _timed(crops, seconds))


def _timed(crops: list[np.ndarray], seconds: list[float]) -> LiveCheck:
    begin = time.perf_counter()
    found = check(crops)
    seconds.append(time.perf_counter() - begin)
    return found


def _print_choice(videos: Sequence[Video]) -> None:
    attacks = np.array([video.found.score for video in videos if not video.head])
    least = float(np.quantile(attacks, 1 - WANTED))
    print(
        f"On the people to choose by, {100 * WANTED:g}% of {len(attacks)} attacks score above "
        f"{least:.4f}. In use: live from {LIVE}; still below {STILL}, if moved by {MOVED} pixels.\n"
    )


def _print_shares(videos: Sequence[Video]) -> None:
    print("On the others:\n")
    print("| video | turned by, degrees | n | live, % | still, % | unknown, % | error, % (95%) |")
    print("|---|---|---|---|---|---|---|")
    kinds = list(dict.fromkeys((video.head, video.kind, video.degrees) for video in videos))
    for head, kind, degrees in sorted(kinds, key=lambda each: (not each[0], each[1:])):
        some = [each for each in videos if each[:3] == (head, kind, degrees)]
        _print_row(kind, f"{degrees:g}", some)
    for head, name in ((True, "all heads: BPCER"), (False, "all attacks: APCER")):
        _print_row(name, "", [video for video in videos if video.head == head])


def _print_row(name: str, degrees: str, videos: Sequence[Video]) -> None:
    """An error is a picture that is 'live', and a head that is not."""
    answers = [video.found.answer for video in videos]
    shares = [100 * answers.count(each) / len(answers) for each in ("live", "still", "unknown")]
    wrong = sum((video.found.answer == "live") != video.head for video in videos)
    low, high = clopper_pearson(wrong, len(videos))
    print(
        f"| {name} | {degrees} | {len(videos)} | {shares[0]:.1f} | {shares[1]:.1f} "
        f"| {shares[2]:.1f} | {100 * wrong / len(videos):.1f} ({100 * low:.1f}-{100 * high:.1f}) |"
    )


if __name__ == "__main__":
    main()
