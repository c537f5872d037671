"""An exported file is a model like its source, or is refused in a sentence."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="mfr[onnx] is not installed")
pytest.importorskip("openvino", reason="mfr[openvino] is not installed")

from mfr import extras
from mfr.encoder import Encoder
from mfr.errors import ConfigError, MfrError, ModelError
from mfr.exported.exported_model import EXPORT, RECORD, SEAL
from mfr.exported.reading import is_exported, read_exported
from mfr.exporting.export import SUFFIXES, write
from mfr.models import load_encoder
from tests.exported.graphs import WEIGHTS, exported_tiny, parsed, record, tiny_graph

FORMS = ("onnx", "openvino")


def written(form: Any, folder: Path, **options: Any) -> Path:
    path = folder / f"model{SUFFIXES[form]}"
    write(exported_tiny(form, path, **options), path)
    return path


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3)).astype(np.uint8)


def by_hand(crops: np.ndarray) -> np.ndarray:
    features = ((crops.mean((1, 2)) - 127.5) / 128) @ WEIGHTS.T
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("form", FORMS)
class TestEachForm:
    def test_is_used_as_its_source_is(self, form: Any, tmp_path: Path, crops: np.ndarray) -> None:
        encoder = load_encoder(str(written(form, tmp_path)))
        assert encoder.record == record() and encoder.model_hash == "feed"
        np.testing.assert_allclose(encoder.embed(crops), by_hand(crops), atol=2e-5)
        np.testing.assert_allclose(encoder.embed(crops[:1]), by_hand(crops[:1]), atol=2e-5)

    def test_keeps_the_centre(self, form: Any, tmp_path: Path, crops: np.ndarray) -> None:
        centre = (0.1, 0.2, -0.3, 0.7)
        encoder = load_encoder(str(written(form, tmp_path, centre=centre, centred=True)))
        moved = by_hand(crops) - centre
        expected = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        np.testing.assert_allclose(encoder.embed(crops), expected, atol=2e-5)

    def test_the_same_model_gives_the_same_bytes(self, form: Any, tmp_path: Path) -> None:
        one, other = (exported_tiny(form, tmp_path / "x").graph for _ in range(2))
        assert (one.graph, one.weights) == (other.graph, other.weights)

    def test_every_flipped_byte_of_the_graph_is_told(self, form: Any, tmp_path: Path) -> None:
        path = written(form, tmp_path)
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 40)):
            path.write_bytes(
                content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :]
            )
            with pytest.raises(ModelError, match=r"model\.(onnx|xml|bin)"):
                read_exported(path)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_a_truncated_file_is_told(self, form: Any, share: float, tmp_path: Path) -> None:
        path = written(form, tmp_path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"truncated|without an MFR record|its seal"):
            read_exported(path)

    def test_a_record_that_belies_the_graph_is_told(self, form: Any, tmp_path: Path) -> None:
        for options in ({"embedding_size": 5}, {"centred": True}, {"centre": (1.0, 2.0)}):
            path = written(form, tmp_path, **options)
            with pytest.raises(ModelError, match="belies its graph"):
                load_encoder(str(path))

    def test_features_that_are_no_numbers_are_told(
        self, form: Any, tmp_path: Path, crops: np.ndarray
    ) -> None:
        graph = tiny_graph(np.full((4, 3), np.nan, "f4"))
        encoder = load_encoder(str(written(form, tmp_path, graph=graph)))
        with pytest.raises(ModelError, match="infinite, not numbers or all zero"):
            encoder.embed(crops)

    def test_what_needs_weights_says_so(self, form: Any, tmp_path: Path) -> None:
        encoder = load_encoder(str(written(form, tmp_path)))
        for call in (
            lambda: encoder.save(tmp_path / "m.safetensors"),
            lambda: encoder.with_centre(np.zeros(4)),
            lambda: encoder.network,
        ):
            with pytest.raises(ModelError, match=r"no weights.* exported from"):
                call()
        assert encoder.with_calibration(None).model_hash == "feed"

    def test_pytorch_and_gpus_are_told_to_be_none_of_it(self, form: Any, tmp_path: Path) -> None:
        path = str(written(form, tmp_path))
        with pytest.raises(ConfigError, match=r"no weights for PyTorch: .*, or choose --runtime o"):
            load_encoder(path, runtime="torch")
        with pytest.raises(ConfigError, match="computes on the CPU, not on 'cuda'"):
            load_encoder(path, device="cuda")

    def test_a_graph_of_crops_is_for_others(self, form: Any, tmp_path: Path) -> None:
        path = written(form, tmp_path, output="embeddings")
        with pytest.raises(ModelError, match="without --whole"):
            load_encoder(str(path))

    def test_another_backbone_is_refused(self, form: Any, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="'smallfacenet', not of 'facenet'"):
            load_encoder(str(written(form, tmp_path)), backbone="facenet")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_onnx_is_read_by_both(runtime: str, tmp_path: Path, crops: np.ndarray) -> None:
    encoder = load_encoder(str(written("onnx", tmp_path)), runtime=runtime)
    np.testing.assert_allclose(encoder.embed(crops), by_hand(crops), atol=2e-5)


def test_the_environment_names_the_runtime(tmp_path: Path, monkeypatch: Any) -> None:
    path = str(written("onnx", tmp_path))
    monkeypatch.setenv("MFR_RUNTIME", "torch")
    with pytest.raises(ConfigError, match="choose --runtime onnxruntime or openvino"):
        load_encoder(path)


def test_openvinos_own_form_is_not_for_onnx_runtime(tmp_path: Path) -> None:
    path = str(written("openvino", tmp_path))
    with pytest.raises(ConfigError, match=r"model\.xml is written for OpenVINO.*openvino\."):
        load_encoder(path, runtime="onnxruntime")


def test_weights_beside_the_wrong_graph_are_told(tmp_path: Path) -> None:
    path = written("openvino", tmp_path)
    other = written("openvino", tmp_path / "other", graph=tiny_graph(2 * WEIGHTS))
    weights = path.with_suffix(".bin")
    weights.write_bytes(other.with_suffix(".bin").read_bytes())
    with pytest.raises(ModelError, match="its seal does not match"):
        read_exported(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.bin, with the weights of .*beside each other"):
        read_exported(path)


def _altered(path: Path, **metadata: str | None) -> None:
    model = parsed(path.read_bytes())
    kept = {one.key: one.value for one in model.metadata_props} | metadata
    del model.metadata_props[:]
    for key, value in kept.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_an_altered_record_is_told(tmp_path: Path) -> None:
    path = written("onnx", tmp_path)
    lower = record().model_dump_json().replace('"thresholds":[0.5]', '"thresholds":[0.1]')
    assert "[0.1]" in lower
    _altered(path, **{RECORD: lower})
    with pytest.raises(ModelError, match="its seal does not match"):
        load_encoder(str(path))


def test_a_graph_of_others_has_no_record(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(tiny_graph())
    with pytest.raises(ModelError, match="without an MFR record: make it with 'mfr export'"):
        load_encoder(str(path))


@pytest.mark.parametrize("lacking", [RECORD, EXPORT, SEAL])
def test_what_is_lacking_is_told(lacking: str, tmp_path: Path) -> None:
    path = written("onnx", tmp_path)
    _altered(path, **{lacking: None})
    with pytest.raises(ModelError, match=r"without an MFR record|its seal"):
        read_exported(path)


def test_a_later_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="export format 2, this program reads 1"):
        written("onnx", tmp_path, version=2)


def test_an_opset_that_the_runtime_lacks_is_told(tmp_path: Path) -> None:
    path = written("onnx", tmp_path, graph=tiny_graph(opset=99))
    with pytest.raises(ModelError, match=r"ONNX Runtime .* cannot run this graph .*newer one"):
        load_encoder(str(path), runtime="onnxruntime")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert is_exported("a/b.onnx") and is_exported("b.xml") and not is_exported("b.safetensors")
    with pytest.raises(ModelError, match="There is no exported file"):
        load_encoder(str(tmp_path / "none.onnx"))


@pytest.mark.parametrize(
    ("form", "package", "extra"),
    [
        ("onnx", "onnxruntime", r"mfr\[onnx\]"),
        ("openvino", "openvino", r"mfr\[openvino\]"),
    ],
)
def test_a_missing_package_is_told_without_pytorch_as_the_way_out(
    form: Any, package: str, extra: str, tmp_path: Path, monkeypatch: Any
) -> None:
    path = str(written(form, tmp_path))
    find = extras.import_module

    def lacking(name: str) -> Any:
        if name == package:
            raise ImportError(name)
        return find(name)

    monkeypatch.setattr(extras, "import_module", lacking)
    with pytest.raises(ConfigError, match=rf"{package} is not installed: install {extra}\.$"):
        load_encoder(path)


def _in_forked(encoder: Encoder, crops: np.ndarray) -> np.ndarray | str:
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def embed() -> None:
        try:
            sender.send(encoder.embed(crops))
        except MfrError as error:
            sender.send(str(error))

    child = fork.Process(target=embed)
    child.start()
    assert receiver.poll(60)
    found: np.ndarray | str = receiver.recv()
    child.join()
    return found


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_forked_process_computes_with_onnx_runtime(
    runtime: str, tmp_path: Path, crops: np.ndarray
) -> None:
    encoder = load_encoder(str(written("onnx", tmp_path)), runtime=runtime)
    found = _in_forked(encoder, crops)
    assert not isinstance(found, str)
    np.testing.assert_allclose(found, by_hand(crops), atol=2e-5)


def test_openvinos_own_form_says_that_a_forked_process_cannot(
    tmp_path: Path, crops: np.ndarray
) -> None:
    found = _in_forked(load_encoder(str(written("openvino", tmp_path))), crops)
    assert "does not compute in a forked process" in found


def test_nothing_of_the_maker_is_in_the_file(tmp_path: Path) -> None:
    assert b"/home/me" in tiny_graph()
    assert b"/home/me" not in written("onnx", tmp_path).read_bytes()
