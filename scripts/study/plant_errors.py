"""How many errors of known kinds, planted in a copy of a folder of photos, does a check find?

    python -m scripts.study.plant_errors PHOTOS WEIGHTS --backbone mobilefacenet-112x96 --each 10

Photos are PHOTOS/<identity>/<image>. Every error is planted in identities of its own. Whatever else
a check reports is counted as a false alarm, although some may be true errors of the photos.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance, ImageOps

from data_tools.aligning import OnMiss, align_dataset
from data_tools.checking.check import check_dataset
from data_tools.importing.folder import import_folder
from mfr.encoder import Encoder
from mfr.images import EXTENSIONS

FINDS = {
    "corrupt": ("unreadable",),
    "copy": ("exact-duplicates",),
    "copy to another": ("cross-person-duplicates",),
    "near copy": ("near-duplicates",),
    "near copy to another": ("cross-person-near-duplicates",),
    "moved to another": ("mislabelled",),
    "merged": ("merged-identities",),
    "split": ("split-identities", "split-leaks"),
}
"""Each planted error, and the findings that name it."""


def near_copy(photo: Path, copy: Path, kind: int) -> None:
    """A copy of ``photo`` that a comparison of pixels would miss, of four kinds in turn."""
    image = Image.open(photo).convert("RGB")
    width, height = image.size
    if kind % 4 == 0:
        image = image.resize((width * 9 // 10, height * 9 // 10))
    elif kind % 4 == 1:
        image = ImageOps.mirror(image)
    elif kind % 4 == 2:
        image = ImageEnhance.Brightness(image).enhance(1.25)
    else:
        image = image.crop((3, 3, width - 2, height - 2))
    image.save(copy.with_suffix(".jpg"), quality=70)


def plant(folder: Path, each: int) -> dict[str, list[set[str]]]:
    """Plant ``each`` errors of every kind in ``folder``; returns the files that show each error."""
    identities = collections.deque(sorted(p for p in folder.iterdir() if len([*p.iterdir()]) >= 6))
    random.Random(0).shuffle(identities)
    planted: dict[str, list[set[str]]] = {kind: [] for kind in FINDS}

    def name(path: Path) -> str:
        return f"{path.parent.name}/{path.name}"

    for k in range(each):
        for kind in FINDS:
            home = identities.popleft()
            photos = sorted(home.iterdir())
            photo, suffix = photos[2], photos[2].suffix
            if kind == "corrupt":
                planted[kind].append({name(photo)})
                continue  # done after the alignment
            if kind == "copy":
                copy = home / f"copy{suffix}"
                shutil.copy(photo, copy)
                planted[kind].append({name(photo), name(copy)})
            elif kind == "near copy":
                copy = home / "near.jpg"
                near_copy(photo, copy, k)
                planted[kind].append({name(photo), name(copy)})
            elif kind == "split":
                other = home.with_name(f"{home.name} II")
                other.mkdir()
                for moved in photos[::2]:
                    moved.rename(other / moved.name)
                planted[kind].append({name(photos[1]), name(other / photos[0].name)})
            else:
                other = identities.popleft()
                target = other / f"planted{suffix}"
                if kind == "copy to another":
                    shutil.copy(photo, target)
                    planted[kind].append({name(photo), name(target)})
                elif kind == "near copy to another":
                    target = target.with_suffix(".jpg")
                    near_copy(photo, target, k)
                    planted[kind].append({name(photo), name(target)})
                elif kind == "moved to another":
                    photo.rename(target)
                    planted[kind].append({name(target)})
                else:
                    for moved in photos:
                        moved.rename(other / f"merged-{moved.name}")
                    planted[kind].append({name(other / f"merged-{photos[0].name}")})
    return planted


def _accused(finding: dict[str, Any], case: dict[str, Any]) -> list[list[str]]:
    strips = list(case["images"].values())
    return strips[:1] if finding["kind"] in ("mislabelled", "strangers") else strips


def main() -> None:
    """Plant, import, align, check, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone")
    parser.add_argument("--each", type=int, default=10, help="errors of each kind")
    parser.add_argument("--on-miss", choices=["skip", "resize"], default="skip")
    options = parser.parse_args()
    on_miss: OnMiss = options.on_miss
    with tempfile.TemporaryDirectory() as temporary:
        folder, root = Path(temporary) / "photos", Path(temporary) / "dataset"
        for photo in sorted(options.photos.glob("*/*")):
            if photo.suffix.lower() in EXTENSIONS:
                (folder / photo.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(photo, folder / photo.parent.name / photo.name)
        planted = plant(folder, options.each)
        import_folder(folder, root, domain="photos")
        align_dataset(root, on_miss=on_miss)
        for (corrupt,) in planted["corrupt"]:
            photo = folder / corrupt
            photo.write_bytes(photo.read_bytes()[:500])
        encoder = Encoder.load(options.weights, backbone=options.backbone)
        result = check_dataset(root, encoder=encoder)
        found = json.loads(result.report_json.read_text())["findings"]
    # A mislabelled image or a stranger accuses that image only, not the ones it is compared with.
    cases = {
        finding["kind"]: [
            {path.removeprefix("../photos/") for strip in _accused(finding, case) for path in strip}
            for case in finding["cases"]
        ]
        for finding in found
    }
    known = set().union(*(names for errors in planted.values() for names in errors))
    print(f"{result.images} images, {options.each} errors of each kind\n")
    print("| planted | found |\n|---|---|")
    for kind, errors in planted.items():
        looked = [case for finding in FINDS[kind] for case in cases[finding]]
        hits = sum(any(error <= case for case in looked) for error in errors)
        print(f"| {kind} | {hits} of {len(errors)} |")
    print("\n| finding | cases | of them without a planted image |\n|---|---|---|")
    for kind, all_cases in cases.items():
        print(f"| {kind} | {len(all_cases)} | {sum(not case & known for case in all_cases)} |")


if __name__ == "__main__":
    main()
