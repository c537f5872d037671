import numpy as np
import pytest
import torch
from PIL import Image

from mfr.errors import DataError
from mfr.meta.tasks.few_shot import FewShotEpisodes
from mfr.meta.tasks.omniglot import load_omniglot, rotated

NAMES = [(f"Alphabet{a}", f"character{c:02d}") for a in range(3) for c in range(1, 4)]


def drawings():
    """(9, 2, 28, 28) of 0 and 1: one ink block a drawing, no two alike."""
    ink = np.zeros((9, 2, 28, 28), np.uint8)
    for c in range(9):
        for i in range(2):
            ink[c, i, 2 + 2 * c : 6 + 2 * c, 3 + 8 * i : 9 + 8 * i] = 1
    return ink


def write_npz(path, order=range(9), **changed):
    order = list(order)
    arrays = {
        "images": np.packbits(drawings()[order].reshape(9, 2, 784), axis=-1),
        "alphabet": np.array([NAMES[k][0] for k in order]),
        "character": np.array([NAMES[k][1] for k in order]),
    }
    np.savez_compressed(path, **{**arrays, **changed})
    return path


def write_folder(root):
    for k, (alphabet, character) in enumerate(NAMES):
        part = "images_evaluation" if alphabet == "Alphabet2" else "images_background"
        folder = root / part / alphabet / character
        folder.mkdir(parents=True)
        for i, ink in enumerate(drawings()[k]):
            Image.fromarray((1 - ink) * np.uint8(255)).convert("1").save(folder / f"{k}_{i}.png")
    return root


def test_the_split_is_of_characters_and_a_rotation_is_a_class(tmp_path):
    plain = load_omniglot(write_npz(tmp_path / "o.npz"), train_characters=6, rotations=False)
    assert plain.train.shape == (6, 2, 1, 28, 28) and plain.test.shape == (3, 2, 1, 28, 28)
    together = torch.cat([plain.train, plain.test]).squeeze(2) // 255
    mine = sorted(character.tolist() for character in together)
    assert mine == sorted(character.tolist() for character in drawings())
    turned = load_omniglot(tmp_path / "o.npz", train_characters=6)
    assert torch.equal(turned.train, rotated(plain.train)) and len(turned.train) == 24
    assert torch.equal(turned.test, rotated(plain.test)) and len(turned.test) == 12


def test_rotations_turn_anticlockwise():
    corner = torch.tensor([[1, 2], [3, 4]]).reshape(1, 1, 2, 2)
    assert rotated(corner).flatten(1).tolist() == [
        [1, 2, 3, 4],
        [2, 4, 1, 3],
        [4, 3, 2, 1],
        [3, 1, 4, 2],
    ]


def test_folder_and_file_in_any_order_give_the_same_split(tmp_path):
    sources = [
        write_npz(tmp_path / "o.npz"),
        write_npz(tmp_path / "turned.npz", reversed(range(9))),
        write_folder(tmp_path / "omniglot"),
    ]
    one, *others = (load_omniglot(path, seed=3, train_characters=5) for path in sources)
    for other in others:
        assert torch.equal(one.train, other.train) and torch.equal(one.test, other.test)
    other_seed = load_omniglot(sources[0], seed=4, train_characters=5)
    assert not torch.equal(one.train, other_seed.train)


def test_a_truncated_file_is_told_so_wherever_it_ends(tmp_path):
    whole = write_npz(tmp_path / "o.npz").read_bytes()
    for end in range(0, len(whole), 37):
        (tmp_path / "short.npz").write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"short\.npz is damaged"):
            load_omniglot(tmp_path / "short.npz", train_characters=6)


def test_flipped_bytes_are_harmless_or_told(tmp_path):
    whole = write_npz(tmp_path / "o.npz").read_bytes()
    told = 0
    for place in range(0, len(whole), 11):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        (tmp_path / "b.npz").write_bytes(broken)
        try:
            load_omniglot(tmp_path / "b.npz", train_characters=6)
        except DataError:
            told += 1
    assert told > 0


@pytest.mark.parametrize(
    "changed",
    [
        {"images": np.zeros((9, 2, 784), np.uint8)},
        {"images": np.zeros((9, 2, 98), np.int64)},
        {"images": np.zeros((8, 2, 98), np.uint8)},
        {"images": np.array([{"a": "pickle"}])},
        {"character": np.array(["character01"] * 9)},
        {"alphabet": np.array(["A"] * 4)},
        {"alphabet": np.array("A")},
    ],
)
def test_another_file_is_refused(tmp_path, changed):
    with pytest.raises(DataError, match="not an Omniglot file"):
        load_omniglot(write_npz(tmp_path / "o.npz", **changed), train_characters=6)


def test_no_archive_and_no_file(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(DataError, match="not an Omniglot file"):
        load_omniglot(tmp_path / "array.npy")
    with pytest.raises(DataError, match="There is no Omniglot"):
        load_omniglot(tmp_path / "nothing.npz")
    with pytest.raises(DataError, match="images_background"):
        load_omniglot(tmp_path)


def test_a_folder_with_a_missing_drawing_names_the_character(tmp_path):
    root = write_folder(tmp_path)
    (root / "images_background" / "Alphabet1" / "character02" / "4_1.png").unlink()
    with pytest.raises(DataError, match="Alphabet1/character02 has 1 drawings"):
        load_omniglot(root, train_characters=6)


@pytest.mark.parametrize("train_characters", [0, 9, 1200])
def test_a_split_needs_characters_on_both_sides(tmp_path, train_characters):
    with pytest.raises(DataError, match="9 characters"):
        load_omniglot(write_npz(tmp_path / "o.npz"), train_characters=train_characters)


def test_the_real_omniglot(shared_data):
    path = shared_data / "fewshot" / "omniglot28.npz"
    if not path.is_file():
        pytest.skip(f"no Omniglot at {path}")
    omniglot = load_omniglot(path)
    assert omniglot.train.shape == (4 * 1200, 20, 1, 28, 28)
    assert omniglot.test.shape == (4 * 423, 20, 1, 28, 28)
    source = FewShotEpisodes(omniglot.test, tasks=8, ways=5, shots=1, query_shots=15, seed=0)
    inputs = source.batch(0).query_inputs
    assert inputs.unique().tolist() == [0, 1]
    assert 0.05 < inputs.mean() < 0.2  # ink is the smaller part, and it is what is 1
