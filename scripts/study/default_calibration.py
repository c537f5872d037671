"""What the scores of the default recogniser mean: writes mfr/pretrained/dlib_resnet.json.

All pairs of LFW are compared (87 million of two people), and so are all pairs with drawn masks, all
pairs of caricatures, and all pairs of Extended Yale B, whose faces are lit from one side; then each
of these conditions against each other. Faces are cut from the photographs, as 'mfr verify' does it.

    python -m scripts.study.default_calibration PEER --faces FACES --kept KEPT
"""

from __future__ import annotations

import argparse
import datetime
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

import mfr
from mfr import atomic
from mfr.benchmark.calibration import measure_calibration
from mfr.benchmark.regions import fit_regions
from mfr.benchmark.scores import Faces
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.models import load_encoder
from mfr.pretrained import dlib_resnet
from scripts.study.default_faces import Found, default_encoder, find_faces

CONDITIONS: Final = {
    "photographs": ("lfw", "LFW"),
    "masks": ("lfw_masked", "LFW with drawn masks"),
    "drawings": ("celeb_caricature", "caricatures of celebrities"),
    "hard light": ("yaleb", "Extended Yale B"),
}
"""Their domains, and what these are called."""

LIKE: Final = {
    "photographs": ("lfw", "celeb_photo"),
    "masks": ("lfw_masked", "celeb_photo_masked"),
    "drawings": ("celeb_caricature",),
    "hard light": ("yaleb",),
}
"""The domains from which it is learned what faces of a condition are like: photographs of one
source would be told from others by that source."""

_DIGITS: Final = 6


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help="another model, for the page; its embeddings are kept too")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True, help="where embeddings are kept")
    options = parser.parse_args()
    encoder, peer = default_encoder(), load_encoder(options.peer)

    def look(domain: str) -> Found:
        return find_faces(options.faces, domain, encoder, peer, options.kept)

    found = {name: look(domain) for name, (domain, _) in CONDITIONS.items()}
    number: dict[str, int] = {}
    photo: dict[str, int] = {}
    faces = {}
    for name, each in found.items():
        # A masked face is of the same photo as the bare one.
        domain = CONDITIONS[name][0].removesuffix("_masked")
        faces[name] = Faces(
            each.embeddings,
            np.array([number.setdefault(one, len(number)) for one in each.persons]),
            np.array([photo.setdefault(f"{domain}/{one}", len(photo)) for one in each.paths]),
        )
    measured = [
        measure_calibration(faces[name], source=CONDITIONS[name][1], condition=name)
        for name in CONDITIONS
    ]
    for name, other in combinations(CONDITIONS, 2):
        measured.append(
            measure_calibration(
                faces[name],
                faces[other],
                source=f"{CONDITIONS[name][1]} and {CONDITIONS[other][1]}",
                condition=name,
                against=other,
            )
        )
    calibrations = Calibrations(
        measured=tuple(_rounded(each) for each in measured),
        regions=fit_regions(
            [[look(domain).embeddings for domain in domains] for domains in LIKE.values()]
        ),
        provenance="python -m scripts.study.default_calibration PEER --faces FACES --kept KEPT, "
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, mfr {mfr.__version__}, for the "
        f"model {encoder.model_hash}",
    )
    path = Path(dlib_resnet.__file__).with_name(str(dlib_resnet.DLIB_RESNET.calibration))
    atomic.write_text(path, calibrations.model_dump_json() + "\n")
    print(f"{path.name}: {calibrations.provenance}")
    for one in calibrations.measured:
        print(f"{one.told}; {one.comparisons} comparisons, lowest FMR {one.fmrs[0]:.2g}")


def _rounded(calibration: Calibration) -> Calibration:
    """With fewer digits, thresholds upwards, so that no rate rises by it."""

    def short(value: float) -> float:
        return float(f"{value:.{_DIGITS}g}")

    step = 10.0**-_DIGITS
    return calibration.model_copy(
        update={
            "thresholds": [
                round(np.ceil(t / step) * step, _DIGITS) for t in calibration.thresholds
            ],
            "fmrs": [short(rate) for rate in calibration.fmrs],
            "fmr_intervals": [(short(a), short(b)) for a, b in calibration.fmr_intervals or ()],
            "fnmrs": None
            if calibration.fnmrs is None
            else [short(rate) for rate in calibration.fnmrs],
        }
    )


if __name__ == "__main__":
    main()
