import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from mfr.backbones import backbone_names, build_backbone
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.encoder import Encoder
from mfr.errors import ConfigError, ModelError
from mfr.model_file import hash_model
from mfr.model_record import ModelRecord
from mfr.runtimes.torch import TorchRuntime

NARROW = "mobilefacenet-112x96"
CALIBRATION = Calibrations.of(
    Calibration(thresholds=[0.5], fmrs=[0.01], comparisons=100, people=9, source="val")
)


def lively(name=NARROW, seed=0):
    """An untrained network whose batch normalisations are far from the identity."""
    torch.manual_seed(seed)
    network = build_backbone(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def network():
    return lively()


@pytest.fixture(scope="module")
def encoder(network):
    return Encoder.from_network(network, NARROW)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (7, 112, 112, 3), dtype=np.uint8)


class TestEmbed:
    def test_is_the_normalised_concatenation_of_both_views(self, encoder, network, crops):
        x = torch.from_numpy(encoder.prepare(crops))
        with torch.inference_mode():
            fused = torch.cat([network(x), network(x.flip(3))], dim=1)
        expected = F.normalize(fused, dim=1).numpy()
        embeddings = encoder.embed(crops)
        assert embeddings.shape == (7, 256) == (7, encoder.embedding_size)
        assert embeddings.dtype == np.float32
        np.testing.assert_allclose(embeddings, expected, atol=2e-6)
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)

    def test_a_mirrored_crop_has_the_halves_swapped(self, encoder, crops):
        mirrored = encoder.embed(crops[:, :, ::-1])
        swapped = np.roll(encoder.embed(crops), 128, axis=1)
        assert not np.allclose(swapped[:, :128], swapped[:, 128:], atol=1e-3)
        np.testing.assert_allclose(mirrored, swapped, atol=1e-6)

    def test_batches_do_not_matter(self, encoder, crops):
        whole = encoder.embed(crops)
        for size in (1, 3, 7, 100):
            np.testing.assert_allclose(encoder.embed(crops, batch_size=size), whole, atol=2e-6)

    def test_is_deterministic(self, encoder, crops):
        assert np.array_equal(encoder.embed(crops), encoder.embed(crops))

    def test_no_crops(self, encoder, crops):
        embeddings = encoder.embed(crops[:0])
        assert embeddings.shape == (0, 256) and embeddings.dtype == np.float32

    def test_read_only_crops_are_left_alone(self, encoder, crops, recwarn):
        frozen = crops.copy()
        frozen.setflags(write=False)
        assert np.array_equal(encoder.embed(frozen), encoder.embed(crops))
        assert not recwarn.list

    def test_without_flip_fusion(self, network, crops):
        whole = Encoder.from_network(network, NARROW)
        single = Encoder(
            whole.record.model_copy(update={"flip_fusion": False}),
            whole.network,
            None,
            TorchRuntime(whole.network, size=whole.geometry.size),
        )
        assert single.embedding_size == 128
        half = whole.embed(crops)[:, :128]
        expected = half / np.linalg.norm(half, axis=1, keepdims=True)
        np.testing.assert_allclose(single.embed(crops), expected, atol=2e-6)

    def test_other_shapes_are_refused(self, encoder):
        with pytest.raises(ValueError, match="must be"):
            encoder.embed(np.zeros((2, 112, 96, 3), np.uint8))

    def test_infinite_features_are_a_model_error(self, crops):
        network = lively()
        nn.init.constant_(network.linear1.bn.weight, 3e38)
        nn.init.constant_(network.linear1.bn.bias, 3e38)
        with pytest.raises(ModelError, match="features that are infinite"):
            Encoder.from_network(network, NARROW).embed(crops)

    def test_zero_features_are_a_model_error(self, crops):
        network = lively()
        nn.init.zeros_(network.linear1.bn.weight)
        nn.init.zeros_(network.linear1.bn.bias)
        with pytest.raises(ModelError, match="all zero"):
            Encoder.from_network(network, NARROW).embed(crops)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["mfr-resnet28", "iresnet18", "facenet"])
    def test_folding_changes_nothing(self, name, crops):
        encoder = Encoder.from_network(lively(name), name)
        x = torch.from_numpy(encoder.prepare(crops[:2]))
        with torch.inference_mode():
            fused = torch.cat([encoder.network(x), encoder.network(x.flip(3))], dim=1)
        expected = F.normalize(fused, dim=1).numpy()
        np.testing.assert_allclose(encoder.embed(crops[:2]), expected, atol=5e-6)


class TestCentre:
    def test_is_subtracted_from_unit_embeddings(self, encoder, crops):
        plain = encoder.embed(crops)
        centred = encoder.with_centre(plain.mean(0))
        expected = plain - plain.mean(0)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(centred.embed(crops), expected, atol=2e-5)
        assert centred.record.centred and not encoder.record.centred

    def test_makes_another_model_and_voids_its_calibration(self, encoder):
        calibrated = encoder.with_calibration(CALIBRATION)
        centred = calibrated.with_centre(np.full(256, 0.01))
        assert calibrated.model_hash == encoder.model_hash != centred.model_hash
        assert calibrated.calibration == CALIBRATION and centred.calibration is None

    def test_of_the_wrong_length_is_refused(self, encoder):
        with pytest.raises(ValueError, match=r"must be \(256,\)"):
            encoder.with_centre(np.zeros(128))


class TestFromNetwork:
    def test_copies_and_leaves_the_network_in_training(self, crops):
        network = lively().train()
        encoder = Encoder.from_network(network, NARROW)
        before = encoder.embed(crops)
        assert network.training and all(p.requires_grad for p in network.parameters())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(1)
        assert np.array_equal(encoder.embed(crops), before)
        anew = Encoder(
            encoder.record,
            encoder.network,
            None,
            TorchRuntime(encoder.network, size=encoder.geometry.size),
        )
        assert np.array_equal(anew.embed(crops), before)

    @pytest.mark.slow
    def test_of_double_precision(self, network, encoder, crops):
        double = Encoder.from_network(lively().double(), NARROW)
        assert double.model_hash == encoder.model_hash

    def test_of_another_architecture_is_refused(self, network):
        with pytest.raises(ModelError, match="not of the backbone 'iresnet18'"):
            Encoder.from_network(network, "iresnet18")

    def test_keeps_what_it_is_told(self, network, crops):
        centre = torch.full((256,), 0.01)
        encoder = Encoder.from_network(
            network, NARROW, centre=centre, calibration=CALIBRATION, recipe={"a": 1}, data={"b": 2}
        )
        assert encoder.calibration == CALIBRATION
        assert (encoder.record.recipe, encoder.record.data) == ({"a": 1}, {"b": 2})
        assert encoder.record.centred

    def test_leaves_the_random_state_alone(self, network):
        state = torch.get_rng_state()
        Encoder.from_network(network, NARROW)
        assert torch.equal(torch.get_rng_state(), state)

    def test_arguments_change_the_embedding_size(self):
        network = build_backbone(NARROW, embedding_size=32)
        encoder = Encoder.from_network(network, NARROW, arguments={"embedding_size": 32})
        assert encoder.embedding_size == 64


class TestFiles:
    @pytest.mark.slow
    @pytest.mark.parametrize("centre", [None, torch.linspace(-0.1, 0.1, 256)])
    def test_round_trip(self, tmp_path, network, crops, centre):
        path = tmp_path / "model.safetensors"
        encoder = Encoder.from_network(
            network, NARROW, centre=centre, calibration=CALIBRATION, recipe={"steps": 3}
        )
        encoder.save(path)
        for again in (Encoder.load(path), Encoder.load(path, backbone=NARROW)):
            assert again.record == encoder.record
            assert len(again.model_hash) == 64
            assert np.array_equal(again.embed(crops), encoder.embed(crops))
        with pytest.raises(ModelError, match="leave the name out"):
            Encoder.load(path, backbone="iresnet18")

    @pytest.mark.slow
    def test_foreign_weights_are_recognised_or_named(self, tmp_path, network, crops, encoder):
        path = tmp_path / "weights.pth"
        torch.save({"state_dict": network.state_dict()}, path)
        recognised = Encoder.load(path)
        assert recognised.record.backbone == NARROW
        assert recognised.model_hash == encoder.model_hash
        with pytest.raises(ModelError, match=", ".join(backbone_names())):
            Encoder.load(path, backbone="mobilenet")
        loaded = Encoder.load(path, backbone=NARROW)
        assert loaded.model_hash == encoder.model_hash
        assert np.array_equal(loaded.embed(crops), encoder.embed(crops))

    def test_a_missing_file(self, tmp_path):
        for backbone in (None, NARROW):
            with pytest.raises(ModelError, match="There is no"):
                Encoder.load(tmp_path / "none.safetensors", backbone=backbone)

    @pytest.mark.parametrize(
        "lie",
        [
            {"embedding_size": 64},
            {"centred": True},
            {"backbone": "mobilefacenet"},
            {"backbone": "unheard-of"},
            {"arguments": {"depth": 9}},
            {"arguments": {"embedding_size": 32}},
            {"geometry": {"height": 8, "width": 8}},
            {"geometry": {"height": 1024, "width": 1024}},
        ],
    )
    @pytest.mark.slow
    def test_a_record_that_belies_its_weights(self, tmp_path, encoder, lie):
        path = tmp_path / "model.safetensors"
        encoder.save(path)
        record = ModelRecord.model_validate({**encoder.record.model_dump(), **lie})
        tensors = load_file(path)
        record = record.model_copy(update={"model_hash": hash_model(record, tensors)})
        save_file(tensors, path, metadata={"mfr": record.model_dump_json()})
        with pytest.raises(ModelError):
            Encoder.load(path)

    @pytest.mark.parametrize(
        "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn]
    )
    def test_weights_of_another_type(self, tmp_path, encoder, dtype):
        path = tmp_path / "model.safetensors"
        encoder.save(path)
        tensors = {
            name: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in load_file(path).items()
        }
        hashed = hash_model(encoder.record, tensors)
        record = encoder.record.model_copy(update={"model_hash": hashed})
        save_file(tensors, path, metadata={"mfr": record.model_dump_json()})
        with pytest.raises(ModelError, match=f"of the type {str(dtype)[6:]}"):
            Encoder.load(path)

    @pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
    def test_a_pipe_is_not_waited_for(self, tmp_path, suffix):
        os.mkfifo(tmp_path / f"m{suffix}")
        for backbone in (None, NARROW):
            with pytest.raises(ModelError, match="no file of weights, but a folder, pipe"):
                Encoder.load(tmp_path / f"m{suffix}", backbone=backbone)

    def test_weights_too_large_for_float32(self, tmp_path, network):
        weights = network.state_dict()
        name = next(name for name in weights if name.endswith("weight"))
        weights[name] = weights[name].double() + 1e300
        save_file(weights, tmp_path / "m.safetensors")
        with pytest.raises(ModelError, match=f"'{name}' has NaN or infinite"):
            Encoder.load(tmp_path / "m.safetensors", backbone=NARROW)

    def test_an_unusable_device(self, tmp_path, encoder):
        encoder.save(tmp_path / "m.safetensors")
        for device in ("cuda:99", "quantum"):
            with pytest.raises(ConfigError, match=f"device '{device}' cannot be used"):
                Encoder.load(tmp_path / "m.safetensors", device=device)


OUTSIDE = """
from torch import nn
from mfr.backbones import BackboneSpec
from mfr.geometry import CropGeometry

def build(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 16, 16), nn.BatchNorm2d(width), nn.Flatten())

class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = build()
    def forward(self, x):
        return self.body(x) if len(x) else x.new_empty(0, 392)

TINY = BackboneSpec(build, CropGeometry(), embedding_size=392)
BRANCHING = BackboneSpec(Branching, CropGeometry(), embedding_size=392)
"""


class TestBackbonesFromOutside:
    @pytest.fixture(autouse=True)
    def package(self, tmp_path, monkeypatch):
        (tmp_path / "users_networks.py").write_text(OUTSIDE)
        monkeypatch.syspath_prepend(tmp_path)

    def test_is_used_by_its_place_and_never_because_a_file_says_so(self, tmp_path, crops):
        place = "users_networks:TINY"
        encoder = Encoder.from_network(build_backbone(place), place)
        encoder.save(tmp_path / "m.safetensors")
        with pytest.raises(ModelError, match=f"if you trust it, pass --backbone {place}"):
            Encoder.load(tmp_path / "m.safetensors")
        again = Encoder.load(tmp_path / "m.safetensors", backbone=place)
        assert np.array_equal(again.embed(crops), encoder.embed(crops))

    def test_that_cannot_be_traced_is_run_as_it_is(self, crops):
        place = "users_networks:BRANCHING"
        network = build_backbone(place).eval()
        encoder = Encoder.from_network(network, place)
        x = torch.from_numpy(encoder.prepare(crops))
        with torch.inference_mode():
            fused = torch.cat([network(x), network(x.flip(3))], dim=1)
        np.testing.assert_allclose(encoder.embed(crops), F.normalize(fused, dim=1), atol=2e-6)

    def test_what_is_no_backbone_is_refused(self):
        with pytest.raises(ModelError, match="is no backbone"):
            build_backbone("users_networks:build")


@pytest.mark.slow
def test_threads_may_share_an_encoder(encoder, crops):
    expected = encoder.embed(crops)
    fresh = Encoder(
        encoder.record,
        encoder.network,
        None,
        TorchRuntime(encoder.network, size=encoder.geometry.size),
    )
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fresh.embed(crops), range(16)))
    assert all(np.array_equal(one, expected) for one in found)


def test_embedding_leaves_process_wide_flags_alone(encoder, crops, monkeypatch):
    flags = torch.backends.cudnn
    monkeypatch.setattr(flags, "flags", lambda **_: pytest.fail("flags were switched"))
    before = flags.allow_tf32, flags.benchmark, flags.deterministic
    encoder.embed(crops)
    assert (flags.allow_tf32, flags.benchmark, flags.deterministic) == before
