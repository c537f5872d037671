"""A day of the service, by its client: enrol by folder, identify, erase, prove.

Ten people of a folder of folders are enrolled by half of their photos, sent as one job; the other
half is identified, as are photos of ten people who are not enrolled. Then one is erased, and every
file of the gallery and of the service is searched for the name, the photos' hashes and the
templates of that person. The gallery is encrypted or not as the key in the environment says.

    python -m scripts.study.service_tour --photos PHOTOS
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mfr.client import Client, CollectionClient
from mfr.gallery import Gallery
from mfr.gallery.records import ModelSource
from mfr.recogniser import Recogniser
from mfr.service.service import Service
from mfr.service.settings import Settings
from scripts.lib.served_demo import served

MODEL: Final = "dlib-resnet"
PEOPLE: Final = 10


def empty_service(folder: Path) -> Service:
    """A service with an empty collection 'staff'."""
    place = folder / "staff.gallery"
    recogniser = Recogniser.load(MODEL, detector="yunet")
    with Gallery.create(place, recogniser) as gallery:
        gallery.remember_model(ModelSource(MODEL, None, "yunet"))
    return Service(Settings(collections={"staff": str(place)}, state=folder / "state"))


def main() -> None:
    """Go through it and print what was answered."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder for each person")
    options = parser.parse_args()
    folders = [each for each in sorted(options.photos.iterdir()) if len(_photos(each)) >= 8]
    enrolled, strangers = folders[:PEOPLE], folders[PEOPLE : 2 * PEOPLE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(empty_service(folder)) as address, Client(address) as client:
            staff = client.collection("staff")
            photos = [each for one in enrolled for each in _photos(one)[::2]]
            job = staff.wait_for(staff.enroll_people(photos), pause=0.2)
            print(
                f"{len(photos)} photos of {PEOPLE} people were sent as job: {job.added} enrolled, "
                f"{job.refused} refused."
            )
            for photo in staff.job_photos(job.id):
                if photo.status == "refused":
                    print(f"- {photo.photo}: {photo.reason}")
            print("\n| photos | right | uncertain | nobody | wrong | no usable face |")
            print("|---|---|---|---|---|---|")
            others = [each for one in enrolled for each in _photos(one)[1::2]]
            print(_row(f"{len(others)} others of theirs", staff, others))
            foreign = [each for one in strangers for each in _photos(one)[:4]]
            print(_row(f"{len(foreign)} of {PEOPLE} strangers", staff, foreign))
            person = next(staff.people())
            faces = staff.faces(person.id)
            embeddings = [client.embeddings(each) for each in _photos(enrolled[0])[::2]]
            proof = staff.erase(person.id)
            verdict = staff.verify_audit()
            print(
                f"\nErased number {person.id} with {proof.faces} faces; entry {proof.audit_number} "
                f"of the audit log says so, which is {'whole' if verdict.whole else 'broken'} and "
                f"ends with its link: {verdict.last_link == proof.audit_link}."
            )
            gone = {each.identity for each in staff.people()}
            print(f"The name is listed: {person.identity in gone}.")
        wanted = [person.identity.encode(), *(each.photo_sha256.encode() for each in faces)]
        wanted += [bytes.fromhex(each.photo_sha256) for each in faces]
        for answer in embeddings:
            for face in answer.photos[0].faces:
                assert face.embedding is not None
                wanted.append(np.array(face.embedding[:8], np.float32).tobytes())
        files = [path for path in folder.rglob("*") if path.is_file()]
        found = [
            (path.relative_to(folder), _sha(text))
            for path in files
            for text in wanted
            if text in path.read_bytes()
        ]
        print(
            f"{len(files)} files of gallery and service were searched for {len(wanted)} pieces "
            f"(the name, hashes, starts of embeddings): {len(found)} found."
        )
        for place, _ in collections.Counter(found):
            print(f"- in {place}")


def _row(title: str, staff: CollectionClient, photos: Sequence[Path]) -> str:
    counts: collections.Counter[str] = collections.Counter()
    known = {each.identity for each in staff.people()}
    for photo in photos:
        try:
            found = staff.identify(photo).results[0]
        except Exception:
            counts["unusable"] += 1
            continue
        truth = photo.parent.name
        if found.outcome == "match":
            counts["right" if found.identity == truth else "wrong"] += 1
        elif found.outcome == "nobody" and truth not in known:
            counts["right"] += 1
        else:
            counts[str(found.outcome)] += 1
    cells = [counts[each] for each in ("right", "uncertain", "nobody", "wrong", "unusable")]
    return f"| {title} | {' | '.join(map(str, cells))} |"


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == ".jpg")


def _sha(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:8]


if __name__ == "__main__":
    main()
