import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from mfr.backbones import build_backbone
from mfr.backbones.weights import (
    HEADS,
    PREFIXES,
    WRAPPERS,
    load_foreign_weights,
    recognise_backbone,
)
from mfr.encoder import Encoder
from mfr.errors import ModelError

NARROW = "mobilefacenet-112x96"
SMALL = [NARROW, "mobilefacenet", "mfr-resnet28", "smallfacenet"]


@pytest.fixture(scope="module")
def states():
    torch.manual_seed(0)
    return {name: build_backbone(name).state_dict() for name in SMALL}


def assert_same(found, expected):
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


WRAPPINGS = {
    "bare": lambda state: state,
    **{key: lambda state, key=key: {key: state, "epoch": 3} for key in WRAPPERS},
    **{prefix: lambda state, prefix=prefix: prefixed(state, prefix) for prefix in PREFIXES},
    "both prefixes": lambda state: prefixed(state, "module.backbone."),
    "nested": lambda state: {"model": {"state_dict": prefixed(state, "module.")}},
    "beside a head": lambda state: {
        "state_dict": {**prefixed(state, "backbone."), "head.weight": torch.ones(5, 2)}
    },
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    "name",
    [name if name == NARROW else pytest.param(name, marks=pytest.mark.slow) for name in SMALL],
)
def test_weights_come_back_from_every_wrapping(tmp_path, states, name, wrapping):
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](states[name]), path)
    assert_same(load_foreign_weights(path, name), states[name])


@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_is_recognised_by_its_tensors(tmp_path, states, name):
    state = {k: v for k, v in states[name].items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": prefixed(state, "module.")}, tmp_path / "weights.pth")
    assert recognise_backbone(tmp_path / "weights.pth") == name


def test_weights_of_no_backbone_are_not_recognised(tmp_path, states):
    state = dict(states[NARROW])
    del state["linear1.conv.weight"]
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=f"none of the backbones.*{NARROW}.*--backbone"):
        recognise_backbone(tmp_path / "weights.pth")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iresnet18", "facenet"])
def test_the_larger_ones_come_back_too(tmp_path, name):
    torch.manual_seed(0)
    state = build_backbone(name).state_dict()
    torch.save({**state, "logits.weight": torch.ones(3, 512)}, tmp_path / "weights.pt")
    assert_same(load_foreign_weights(tmp_path / "weights.pt", name), state)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_container_of_pytorch(tmp_path, states, suffix, zipped):
    path = tmp_path / f"weights{suffix}"
    torch.save(states[NARROW], path, _use_new_zipfile_serialization=zipped)
    assert_same(load_foreign_weights(path, NARROW), states[NARROW])


def test_plain_safetensors(tmp_path, states):
    save_file(prefixed(states[NARROW], "module."), tmp_path / "weights.safetensors")
    assert_same(load_foreign_weights(tmp_path / "weights.safetensors", NARROW), states[NARROW])


def test_our_own_model_file(tmp_path, states):
    network = build_backbone(NARROW)
    network.load_state_dict(states[NARROW])
    path = tmp_path / "model.safetensors"
    Encoder.from_network(network, NARROW, centre=torch.zeros(256)).save(path)
    assert_same(load_foreign_weights(path, NARROW), states[NARROW])
    with pytest.raises(ModelError, match="of the backbone 'mobilefacenet-112x96', not of 'mob"):
        load_foreign_weights(path, "mobilefacenet")


def test_half_precision_becomes_float32(tmp_path, states):
    torch.save({k: v.half() if v.ndim else v for k, v in states[NARROW].items()}, tmp_path / "w.pt")
    found = load_foreign_weights(tmp_path / "w.pt", NARROW)
    key = "conv1.conv.weight"
    assert found[key].dtype == torch.float32
    assert torch.equal(found[key], states[NARROW][key].half().float())


def test_batch_counters_may_be_absent(tmp_path, states):
    kept = {k: v for k, v in states[NARROW].items() if "num_batches_tracked" not in k}
    assert len(kept) < len(states[NARROW])
    torch.save(kept, tmp_path / "w.pt")
    assert_same(load_foreign_weights(tmp_path / "w.pt", NARROW), states[NARROW])


def test_what_does_not_fit_is_listed(tmp_path, states):
    state = dict(states[NARROW])
    for index in range(4):
        del state[f"blocks.{index}.conv.0.weight"]
    state["extra.weight"] = torch.ones(1)
    state["linear1.conv.weight"] = torch.ones(64, 512, 1, 1)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError) as error:
        load_foreign_weights(tmp_path / "w.pt", NARROW)
    sentence = str(error.value)
    assert "4 missing (blocks.0.conv.0.weight, " in sentence and ", ...)" in sentence
    assert "1 unexpected (extra.weight)" in sentence
    assert (
        "1 of another shape or type (linear1.conv.weight (64, 512, 1, 1) for (128, 512, 1, 1))"
        in (sentence)
    )


def test_heads_are_left_out_only_by_their_stated_names(tmp_path, states):
    heads = {head + "weight": torch.ones(2) for head in HEADS}
    torch.save({**states[NARROW], **heads}, tmp_path / "w.pt")
    assert_same(load_foreign_weights(tmp_path / "w.pt", NARROW), states[NARROW])
    torch.save({**states[NARROW], "heads.weight": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"1 unexpected \(heads.weight\)"):
        load_foreign_weights(tmp_path / "w.pt", NARROW)


def test_another_backbones_weights_do_not_fit(tmp_path, states):
    torch.save(states["mobilefacenet"], tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"1 of another shape or type \(linear7.conv.weight"):
        load_foreign_weights(tmp_path / "w.pt", NARROW)


class Command:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_unrun(tmp_path, monkeypatch, states, zipped):
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": states[NARROW], "hook": Command()}
    torch.save(content, "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="holds more than weights, refused for your safety"):
        load_foreign_weights("w.pt", NARROW)
    assert not (tmp_path / "pwned").exists()


def test_a_bare_pickle_that_would_run_code_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(Command()))
    with pytest.raises(ModelError):
        load_foreign_weights("w.pkl", NARROW)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_no_weights(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    with pytest.raises(ModelError, match="There is no weight file"):
        load_foreign_weights(path, NARROW)
    path.touch()
    with pytest.raises(ModelError, match="is empty"):
        load_foreign_weights(path, NARROW)
    path.write_text("these are not weights\n" * 10)
    with pytest.raises(ModelError, match=r"not a (PyTorch checkpoint|\.safetensors file)"):
        load_foreign_weights(path, NARROW)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelError, match="no file of weights, but a folder"):
        load_foreign_weights(path, NARROW)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("kind", ["zip", "bare", "safetensors"])
def test_truncated_files(tmp_path, states, kind, share):
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(states[NARROW], path)
    else:
        torch.save(states[NARROW], path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"copy it again|not a PyTorch checkpoint"):
        load_foreign_weights(path, NARROW)


def test_a_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(ModelError):
        load_foreign_weights(tmp_path / "w.pt", NARROW)


def test_an_archive_that_unfolds_to_far_more_is_not_unfolded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(2**22))
        archive.writestr("bomb/version", "3")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unfolded"))
    with pytest.raises(ModelError, match="unfolds to more than 16 times its size"):
        load_foreign_weights(path, "mobilefacenet-112x96")


@pytest.mark.parametrize(
    "content", [{}, {"epoch": 3}, [torch.ones(3)], torch.ones(3), {"model": 3}]
)
def test_a_checkpoint_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="no state dict"):
        load_foreign_weights(tmp_path / "w.pt", NARROW)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path, states, value):
    state = {key: tensor.clone() for key, tensor in states[NARROW].items()}
    state["blocks.3.conv.0.weight"][0, 0] = value
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"'blocks\.3\.conv\.0\.weight' has NaN or infinite"):
        load_foreign_weights(tmp_path / "w.pt", NARROW)


def test_the_given_checkpoint_fits_key_by_key(shared_data):
    path = shared_data / "weights" / "mobilefacenet_casia_112x96.ckpt"
    theirs = torch.load(path, map_location="cpu", weights_only=True)["net_state_dict"]
    ours = build_backbone(NARROW).state_dict()
    assert [(k, v.shape, v.dtype) for k, v in ours.items()] == [
        (k, v.shape, v.dtype) for k, v in theirs.items()
    ]
    assert_same(load_foreign_weights(path, NARROW), theirs)


def test_iresnet_bears_the_usual_names():
    with torch.device("meta"):
        state = build_backbone("iresnet50").state_dict()
    usual = {
        "conv1.weight": (64, 3, 3, 3),
        "bn1.running_mean": (64,),
        "prelu.weight": (64,),
        "layer1.0.bn1.weight": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer1.0.bn2.bias": (64,),
        "layer1.0.prelu.weight": (64,),
        "layer1.0.conv2.weight": (64, 64, 3, 3),
        "layer1.0.bn3.running_var": (64,),
        "layer1.0.downsample.0.weight": (64, 64, 1, 1),
        "layer1.0.downsample.1.weight": (64,),
        "layer3.13.conv2.weight": (256, 256, 3, 3),
        "layer4.0.downsample.0.weight": (512, 256, 1, 1),
        "bn2.weight": (512,),
        "fc.weight": (512, 25088),
        "fc.bias": (512,),
        "features.running_mean": (512,),
    }
    assert {key: tuple(state[key].shape) for key in usual} == usual
    assert not [key for key in state if key.startswith("layer1.1.downsample")]
