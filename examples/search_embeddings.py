"""A gallery without photos: templates in, searches by embedding, changes seen at once.

python examples/search_embeddings.py
"""

import tempfile

import numpy as np

from mfr import Gallery
from mfr.gallery import NewTemplate
from mfr.gallery.store import create_store

PEOPLE, SIZE = 1000, 128


def unit(rows: np.ndarray) -> np.ndarray:
    """The rows (n, D), scaled to unit length."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    random = np.random.default_rng(0)
    templates = unit(random.standard_normal((PEOPLE, SIZE)))
    with tempfile.TemporaryDirectory() as folder:
        location = f"{folder}/gallery"
        store = create_store(location, model_hash="my embedder, version 1", embedding_size=SIZE)
        store.add_many(
            (f"person {n}", [NewTemplate(template, photo_sha256=f"{n}")])
            for n, template in enumerate(templates)
        )
        store.close()

        with Gallery.open(location) as gallery:
            probe = unit(templates[7:8] + 0.05 * random.standard_normal((1, SIZE)))[0]
            for candidate in gallery.search(probe, k=3):
                print(f"{candidate.identity}: {candidate.score:.3f}")
            print(f"score of person 8: {gallery.score('person 8', probe):.3f}")
            gallery.remove("person 7")
            print("after removal:", gallery.search(probe, k=1)[0].identity)


if __name__ == "__main__":
    main()
