import numpy as np
import pytest
import torch

from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.training.face_tasks import FaceEpisodes
from tests.datasets import write_dataset

SHAPE = {"ways": 3, "shots": 2, "query_shots": 1, "seed": 0}


class RowsAsCrops:
    """Instead of crops, their row's number, so that a test sees which were drawn."""

    def __getitem__(self, rows):
        return rows


def make_manifest(people):
    """``people``: (domain, identity, person) -> images."""
    return Manifest.empty("nowhere").append(
        [
            {"path": f"{d}/{i}/{n}.jpg", "domain": d, "identity": i, "person": p}
            for (d, i, p), images in people.items()
            for n in range(images)
        ]
    )


def drawn(manifest, source, step=0):
    """For each task, {number: person} and the domains of support and query."""
    persons, domains = (np.array(manifest.column(name)) for name in ("person", "domain"))
    batch = source.batch(step)
    for support, numbers, query, query_numbers in zip(*batch, strict=True):
        who = dict(zip(numbers.tolist(), persons[support].tolist(), strict=True))
        for rows, labels in ((support, numbers), (query, query_numbers)):
            assert persons[rows].tolist() == [who[number] for number in labels.tolist()]
        rows = torch.cat([support, query]).tolist()
        assert len(set(rows)) == len(rows)
        assert len(set(who.values())) == SHAPE["ways"]
        yield who, set(domains[support]), set(domains[query])


def test_within_a_domain_one_person_is_one_class():
    people = {("photo", f"id{k}", f"p{k}"): 4 for k in range(5)}
    # Two names of one person, neither with images enough alone, and someone with too few.
    people |= {("photo", "ann", "ann"): 2, ("photo", "anna", "ann"): 1, ("photo", "bob", "bob"): 2}
    people |= {("drawing", "p0", "p0"): 9}
    manifest = make_manifest(people)
    source = FaceEpisodes(manifest, RowsAsCrops(), "photo", tasks=60, prepare=lambda x: x, **SHAPE)
    assert source.left_out == 1
    seen = set()
    for who, support, query in drawn(manifest, source):
        assert support == query == {"photo"}
        seen |= set(who.values())
    assert seen == {"p0", "p1", "p2", "p3", "p4", "ann"}


def test_across_domains_people_are_known_in_one_and_met_in_the_other():
    people = {("photo", f"id{k}", f"p{k}"): 2 for k in range(6)}
    people |= {("drawing", f"d{k}", f"p{k}"): 1 for k in range(1, 5)}  # one is enough to be asked
    people |= {("photo", "few", "few"): 1, ("drawing", "few", "few"): 1, ("drawing", "x", "x"): 5}
    manifest = make_manifest(people)
    source = FaceEpisodes(
        manifest, RowsAsCrops(), "photo", "drawing", tasks=60, prepare=lambda x: x, **SHAPE
    )
    assert source.left_out == 1
    seen = set()
    for who, support, query in drawn(manifest, source):
        assert (support, query) == ({"photo"}, {"drawing"})
        seen |= set(who.values())
    assert seen == {"p1", "p2", "p3", "p4"}


def test_row_order_has_no_say():
    manifest = make_manifest({("photo", f"id{k}", f"p{k}"): 4 for k in range(7)})
    order = np.random.default_rng(0).permutation(len(manifest))
    shuffled = Manifest(manifest.root, manifest.table.take(order))
    paths = []
    for one in (manifest, shuffled):
        source = FaceEpisodes(one, RowsAsCrops(), "photo", tasks=4, prepare=lambda x: x, **SHAPE)
        paths.append(np.array(one.column("path"))[source.batch(5).query_inputs].tolist())
    assert paths[0] == paths[1]


def test_crops_come_as_the_network_takes_them(tmp_path):
    manifest = write_dataset(tmp_path, {"photo": 4})
    store = CropStore(manifest, 0)
    batch = FaceEpisodes(manifest, store, "photo", tasks=2, **SHAPE).batch(3)
    assert batch.support_inputs.shape == (2, 6, 3, 112, 112)
    assert batch.query_inputs.shape == (2, 3, 3, 112, 112)
    crops = torch.from_numpy(store[np.arange(len(manifest))])
    pixels = (batch.query_inputs[1, 2] * 255).round().byte().permute(1, 2, 0)
    assert (crops == pixels).flatten(1).all(1).sum() == 1
    raw = FaceEpisodes(manifest, store, "photo", tasks=2, prepare=lambda x: x, **SHAPE).batch(3)
    assert torch.equal(raw.query_inputs[1, 2], pixels)
    alone = FaceEpisodes(manifest, store, "photo", tasks=2, **{**SHAPE, "query_shots": 0}).batch(3)
    assert alone.query_inputs.shape == (2, 0, 3, 112, 112)
    part = FaceEpisodes(manifest, store, "photo", tasks=2, **SHAPE).batch(3, 1, 2)
    assert torch.equal(part.query_inputs[0], batch.query_inputs[1])


def test_unknown_domains_and_too_few_people():
    manifest = make_manifest({("photo", f"id{k}", f"p{k}"): 3 for k in range(2)})
    with pytest.raises(DataError, match=r"'sketch'.*photo"):
        FaceEpisodes(manifest, RowsAsCrops(), "photo", "sketch", tasks=1, **SHAPE)
    with pytest.raises(DataError, match="2 of 2 classes"):
        FaceEpisodes(manifest, RowsAsCrops(), "photo", tasks=1, **SHAPE)
