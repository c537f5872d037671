"""Faces of two photos, found, embedded and compared.

python examples/compare_photos.py A.jpg B.jpg
"""

import argparse

from mfr import Recogniser


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("photos", nargs=2)
    arguments.add_argument("--model", help="a model file or a name; the default model if not given")
    arguments.add_argument("--threshold", type=float, help="a cosine; else the calibrated one")
    options = arguments.parse_args()

    recogniser = Recogniser.load(options.model) if options.model else Recogniser.default()
    for photo in options.photos:
        for face in recogniser.embed_faces(photo):
            left, top, right, bottom = face.box.round().astype(int).tolist()
            print(
                f"{photo}: a face at {left},{top} to {right},{bottom}, "
                f"{face.quality.inter_ocular:.0f} pixels between the eyes"
            )
    decision = recogniser.compare(*options.photos, threshold=options.threshold)
    same = "the same person" if decision.match else "different people"
    print(f"{same}: score {decision.score:.3f}, threshold {decision.threshold:.3f}")


if __name__ == "__main__":
    main()
