import json
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import ModelError
from mfr.geometry import CropGeometry
from mfr.model_file import hash_model, read_model, read_record, write_model
from mfr.model_record import ModelRecord

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.6, 0.4, 0.2],
        fmrs=[1e-4, 1e-3, 1e-1],
        comparisons=10_000,
        people=50,
        source="val",
    )
)


@pytest.fixture
def record():
    return ModelRecord(
        backbone="mobilefacenet-112x96",
        arguments={"embedding_size": 4},
        geometry=CropGeometry(width=96, columns=(8, 104)),
        embedding_size=4,
        calibration=CALIBRATION,
        recipe={"method": "mfr", "steps": 3},
        data={"sources": ["lfw"]},
    )


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(3, 4, generator=generator),
        "a.half": torch.randn(5, generator=generator).half(),
        "a.bfloat": torch.randn(5, generator=generator).bfloat16(),
        "a.count": torch.tensor(7),
        "empty": torch.empty(0, 3),
    }


def test_round_trip(tmp_path, record, tensors):
    path = tmp_path / "model.safetensors"
    written = write_model(path, record, tensors)
    read, found = read_model(path)
    assert read == written == read_record(path)
    assert read.model_copy(update={"model_hash": ""}) == record
    assert set(found) == set(tensors)
    for key, tensor in tensors.items():
        assert found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)


def test_transposed_and_shared_tensors_are_written_as_they_look(tmp_path, record):
    base = torch.arange(12.0).reshape(3, 4)
    write_model(tmp_path / "m.safetensors", record, {"t": base.T, "part": base[:, 1]})
    _, found = read_model(tmp_path / "m.safetensors")
    assert torch.equal(found["t"], base.T) and torch.equal(found["part"], base[:, 1])


class TestHash:
    def test_is_stable(self, record, tensors):
        reordered = dict(reversed(tensors.items()))
        assert hash_model(record, tensors) == hash_model(record, reordered)
        # Frozen: galleries in the field hold such hashes.
        assert hash_model(ModelRecord(backbone="b", embedding_size=1), {"w": torch.ones(2)}) == (
            "b25345b3cdb3a521e014c9cd1d44aa71a336ed744f9e747145743389e99591cd"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"backbone": "mobilefacenet"},
            {"arguments": {}},
            {"geometry": CropGeometry()},
            {"embedding_size": 5},
            {"flip_fusion": False},
            {"centred": True},
        ],
    )
    def test_changes_with_all_that_shapes_an_embedding(self, record, tensors, change):
        assert hash_model(record.model_copy(update=change), tensors) != hash_model(record, tensors)

    @pytest.mark.parametrize(
        "change", [{"calibration": None}, {"recipe": {}}, {"data": {}}, {"model_hash": "x"}]
    )
    def test_stays_when_only_the_story_changes(self, record, tensors, change):
        assert hash_model(record.model_copy(update=change), tensors) == hash_model(record, tensors)

    def test_changes_with_names_types_shapes_and_values(self, record):
        weight = torch.arange(6.0)
        variants = [
            {"w": weight},
            {"v": weight},
            {"w": weight.reshape(2, 3)},
            {"w": weight.to(torch.int32)},
            {"w": weight.view(torch.int32)},
            {"w": weight + 1e-6},
            {"w": weight, "x": weight},
        ]
        assert len({hash_model(record, tensors) for tensors in variants}) == len(variants)


def _with(**values):
    return json.dumps({"version": 1, "backbone": "b", "embedding_size": 4, **values})


class TestDamage:
    def test_an_altered_weight_is_noticed(self, tmp_path, record, tensors):
        path = tmp_path / "m.safetensors"
        written = write_model(path, record, tensors)
        altered = load_file(path)
        altered["a.weight"][0, 0] += 1
        save_file(altered, path, metadata={"mfr": written.model_dump_json()})
        with pytest.raises(ModelError, match="was altered"):
            read_model(path)

    def test_an_altered_record_is_noticed(self, tmp_path, record, tensors):
        path = tmp_path / "m.safetensors"
        written = write_model(path, record, tensors)
        other = written.model_copy(update={"flip_fusion": False})
        save_file(load_file(path), path, metadata={"mfr": other.model_dump_json()})
        with pytest.raises(ModelError, match="was altered"):
            read_model(path)

    def test_an_altered_calibration_is_noticed(self, tmp_path, record, tensors):
        path = tmp_path / "m.safetensors"
        write_model(path, record, tensors)
        whole = path.read_bytes()
        assert whole.count(b"0.4") == 1
        path.write_bytes(whole.replace(b"0.4", b"0.3"))  # the threshold of one FMR, still in order
        with pytest.raises(ModelError, match=r"record .*, with its calibration, was altered"):
            read_model(path)

    def test_a_record_without_a_seal_is_read(self, tmp_path, record, tensors):
        path = tmp_path / "m.safetensors"
        written = write_model(path, record, tensors)
        save_file(load_file(path), path, metadata={"mfr": written.model_dump_json()})
        assert read_model(path)[0] == written

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.999])
    def test_truncated(self, tmp_path, record, share):
        path = tmp_path / "m.safetensors"
        write_model(path, record, {"w": torch.ones(5000)})
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ModelError, match="copy it again"):
            read_model(path)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_weights_that_are_not_finite_are_neither_written_nor_read(
        self, tmp_path, record, value
    ):
        path = tmp_path / "m.safetensors"
        tensors = {"w": torch.tensor([1.0, value])}
        with pytest.raises(ModelError, match="'w' has NaN or infinite"):
            write_model(path, record, tensors)
        assert not path.exists()
        hashed = record.model_copy(update={"model_hash": hash_model(record, tensors)})
        save_file(tensors, path, metadata={"mfr": hashed.model_dump_json()})
        with pytest.raises(ModelError, match="'w' has NaN or infinite"):
            read_model(path)

    def test_missing_foreign_and_text(self, tmp_path):
        path = tmp_path / "m.safetensors"
        os.mkfifo(path)
        with pytest.raises(ModelError, match="There is no model file"):
            read_model(path)
        path.unlink()
        with pytest.raises(ModelError, match="There is no model file"):
            read_model(path)
        path.write_text("hello " * 100)
        with pytest.raises(ModelError, match="--backbone"):
            read_model(path)
        save_file({"w": torch.ones(2)}, path)
        with pytest.raises(ModelError, match="no MFR record"):
            read_model(path)

    @pytest.mark.parametrize(
        ("raw", "sentence"),
        [
            ("{", "is damaged"),
            ("[]", "is damaged"),
            (json.dumps({"version": 99}), "model format 99"),
            (json.dumps({"version": 1, "backbone": "b"}), "is damaged"),
            (json.dumps({"version": 1, "backbone": "b", "embedding_size": 0}), "is damaged"),
            ("[" * 100_000, "is damaged"),
            ('{"version": 1, "a":' + "[" * 900 + "]" * 900 + "}", "is damaged"),
            (_with(geometry={"height": 20_000, "width": 20_000}), "is damaged"),
            (_with(geometry={"columns": [100, 20]}), "is damaged"),
            (_with(geometry={"columns": [0, 4000]}), "is damaged"),
            (_with(geometry={"scale": math.inf}), "is damaged"),
            (_with(geometry={"mean": math.nan}), "is damaged"),
        ],
    )
    def test_a_bad_record(self, tmp_path, raw, sentence):
        save_file({"w": torch.ones(2)}, tmp_path / "m.safetensors", metadata={"mfr": raw})
        with pytest.raises(ModelError, match=sentence):
            read_record(tmp_path / "m.safetensors")


class TestCalibration:
    def test_the_threshold_of_the_largest_measured_rate_allowed(self):
        assert CALIBRATION.usual.threshold_at(1e-3) == 0.4
        assert CALIBRATION.usual.threshold_at(5e-3) == 0.4
        assert CALIBRATION.usual.threshold_at(1.0) == 0.2

    def test_rates_below_what_was_observable_are_refused(self):
        with pytest.raises(ModelError, match=r"lowest it measured is 0\.0001"):
            CALIBRATION.usual.threshold_at(9e-5)

    def test_rates_between_thresholds_are_interpolated_on_a_log_scale(self):
        assert CALIBRATION.usual.fmr_at(0.4) == pytest.approx(1e-3)
        assert CALIBRATION.usual.fmr_at(0.5) == pytest.approx(10**-3.5)
        assert CALIBRATION.usual.fmr_at(0.9) == pytest.approx(1e-4)
        assert CALIBRATION.usual.fmr_at(-1) == pytest.approx(1e-1)

    @given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
    def test_a_higher_score_never_has_a_higher_rate(self, scores):
        rates = [CALIBRATION.usual.fmr_at(score) for score in sorted(scores)]
        assert (np.diff(rates) <= 0).all()

    @pytest.mark.parametrize(
        ("thresholds", "fmrs"),
        [
            ([0.1, 0.2], [0.1, 0.2]),
            ([0.2, 0.1], [0.2, 0.1]),
            ([0.2], [0.1, 0.2]),
            ([0.2, float("nan")], [0.1, 0.2]),
            ([1.1, 0.2], [0.2, 0.3]),
            ([0.2, -1.1], [0.2, 0.3]),
            ([0.3, 0.2], [0.0, 0.3]),
            ([0.3, 0.2], [-0.1, 0.3]),
            ([0.3, 0.2], [0.3, 1.1]),
            ([0.3, 0.2], [0.1, 0.2]),  # 9 comparisons cannot show a rate of 0.1
            ([], []),
        ],
    )
    def test_tables_that_make_no_sense(self, thresholds, fmrs):
        with pytest.raises(ValidationError):
            Calibration(thresholds=thresholds, fmrs=fmrs, comparisons=9, people=3, source="val")

    def test_as_many_comparisons_as_the_lowest_rate_needs(self):
        Calibration(thresholds=[1.00001], fmrs=[1 / 9], comparisons=9, people=3, source="val")
