"""The model that MFR's own program made, as it ships."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools.quickstart.plan import SOURCES
from data_tools.synth.domains import DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr.backbones import backbone_spec, build_backbone
from mfr.errors import ModelError
from mfr.models import PRETRAINED, is_pretrained, load_encoder
from mfr.pretrained import drawn_faces

MODEL = PRETRAINED.find("drawn-faces")


def test_it_ships_with_mfr_and_takes_less_than_a_megabyte():
    path = MODEL.find()
    assert path is not None and path == MODEL.fetch()
    assert path.stat().st_size <= 1_000_000
    assert round(path.stat().st_size / 1e6, 1) == MODEL.megabytes
    assert is_pretrained("drawn-faces")


def test_its_weights_are_a_whole_network_s():
    weights = MODEL.read(MODEL.fetch())
    assert weights.keys() == build_backbone("smallfacenet").state_dict().keys()
    assert backbone_spec(MODEL.backbone).embedding_size == 128


@pytest.mark.slow
def test_it_tells_people_apart_whom_it_has_never_seen():
    # Two images of each of eight people, in two of the domains it knows; in both, each person's two
    # are more alike than most pairs of two people.
    encoder = load_encoder("drawn-faces")
    for name in SOURCES[0], SOURCES[2]:
        crops = np.stack(
            [
                photograph(person(5, number), DOMAINS[name], image).image
                for image in (0, 1)
                for number in range(8)
            ]
        )
        first, second = np.split(encoder.embed(crops), 2)
        scores = first @ second.T
        others = scores[~np.eye(8, dtype=bool)]
        assert np.diag(scores).mean() > others.mean() + 3 * others.std()


def test_a_missing_file_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(drawn_faces, "FILE", "nothing.safetensors")
    assert MODEL.find() is None
    with pytest.raises(ModelError, match="drawn-faces is missing: install mfr again"):
        MODEL.fetch()
