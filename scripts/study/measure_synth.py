"""What a network learns from synthetic faces alone, and which of their variations are hard.

    mfr data synth --out DATASET --identities 1000 --images 6 \\
        --domains daylight,side_light,nir,surveillance,sketch,mask_surgical
    mfr data split DATASET --test 0.2 --val 0
    python -m scripts.study.measure_synth --data DATASET --minutes 60 --lfw LFW --pairs pairs.txt

A small network (four strided convolutions on crops of 56 x 56) is trained from scratch with
CosFace on the training people of all domains. On unseen people it then measures TAR at FMR 1e-3 in
each domain, and from daylight to each domain; TAR at one threshold by the difference in pose (in
daylight) and by the difference in light (in daylight and side light, which differ in the direction
of the light only); and, if LFW is given (imported and aligned with 'mfr data'), its View 2
accuracy. Minutes are processor time.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from data_tools.synth import truth
from mfr.allocator import keep_freed_memory
from mfr.benchmark.metrics import Scores, auc, fold_accuracy, operating_points
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.data.pair_list import read_pair_list
from mfr.losses.margin import cosface

SIDE = 56
FMR = 1e-3
REFERENCE = "daylight"
POSES = (0, 10, 20, 30, 90)
LIT = ("daylight", "side_light")
"""Domains that are one but for where the light stands."""

LIGHTS = (0, 30, 60, 90, 180)


def small_network(width: int, size: int) -> nn.Module:
    """(N, 3, 56, 56) -> (N, size)."""
    layers: list[nn.Module] = []
    before = 3
    for after in (width, 2 * width, 4 * width, 8 * width):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.PReLU()]
        layers += [nn.Conv2d(after, after, 3, 1, 1, groups=after, bias=False)]
        layers += [nn.Conv2d(after, after, 1, bias=False), nn.BatchNorm2d(after), nn.PReLU()]
        before = after
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(before * 16, size), nn.BatchNorm1d(size)
    )


def small_crops(manifest: Manifest) -> NDArray[np.uint8]:
    """(N, 56, 56, 3)."""
    return np.stack(
        [
            np.asarray(cv2.resize(load_crop(path), (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            for path in manifest.crop_paths()
        ]
    ).astype(np.uint8)


def inputs(crops: NDArray[np.uint8]) -> Tensor:
    """(N, 3, 56, 56), about -1 to 1."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().sub(127.5).div(128)


def train(
    crops: NDArray[np.uint8], labels: NDArray[np.int64], options: argparse.Namespace
) -> nn.Module:
    """Train a network for ``options.minutes`` of processor time."""
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    network = small_network(options.width, options.embedding)
    rows = nn.Parameter(torch.randn(int(labels.max()) + 1, options.embedding))
    parameters = [*network.parameters(), rows]
    optimiser = torch.optim.SGD(parameters, lr=options.rate, momentum=0.9, weight_decay=5e-4)
    targets = torch.from_numpy(labels)
    start, budget, step = time.process_time(), 60 * options.minutes, 0
    order = torch.randperm(len(crops), generator=generator)
    place, running = 0, 0.0
    while (spent := (time.process_time() - start) / budget) < 1:
        if place + options.batch > len(order):
            order, place = torch.randperm(len(crops), generator=generator), 0
        batch = order[place : place + options.batch]
        place += options.batch
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / 50, 1.02 - spent)
        x = inputs(crops[batch.numpy()])
        flip = torch.rand(len(x), generator=generator) < 0.5
        x[flip] = x[flip].flip(3)
        # The margin grows, because from random weights training does not start with a full one.
        margin = 0.35 * min(1.0, 2 * spent)
        loss = cosface(normalize(network(x)), rows, targets[batch], scale=32, margin=margin)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        step += 1
        if step % 200 == 0:
            print(f"step {step}, {100 * spent:.0f}% of the time, loss {running:.3f}", flush=True)
    print(f"{step} steps of {options.batch} images, loss {running:.3f}")
    return network.eval()


def embed(network: nn.Module, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, d), a face and its mirror image together, of unit length."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), 256):
            x = inputs(crops[start : start + 256])
            parts.append(normalize(torch.cat([network(x), network(x.flip(3))], dim=1)))
    return np.asarray(torch.cat(parts).numpy())


def tar(mated: NDArray[np.floating], nonmated: NDArray[np.floating]) -> tuple[float, float]:
    """TAR at FMR 1e-3, and its threshold."""
    point = operating_points(Scores.of(mated, nonmated), [FMR])
    return float(point.tar[0]), float(point.thresholds[0])


def compare(
    features: NDArray[np.float32],
    people: NDArray[np.int64],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Scores of all pairs of rows ``a`` and ``b``, each once, whether mated, and the rows."""
    i, j = np.meshgrid(a, b, indexing="ij")
    once = (i < j) if a is b else np.ones(i.shape, bool)
    i, j = i[once], j[once]
    return (features[a] @ features[b].T)[once], people[i] == people[j], i, j


def show_domains(features: NDArray[np.float32], people: NDArray[np.int64], domain: NDArray) -> None:
    """TAR within each domain, and from daylight to it."""
    print(f"\n{'domain':16}{'images':>8}{'TAR@1e-3':>10}{'AUC':>8}{'from ' + REFERENCE:>15}")
    reference = np.flatnonzero(domain == REFERENCE)
    for name in sorted(set(domain)):
        rows = np.flatnonzero(domain == name)
        scores, mated, _, _ = compare(features, people, rows, rows)
        within = Scores.of(scores[mated], scores[~mated])
        line = f"{name:16}{len(rows):8}{100 * tar(scores[mated], scores[~mated])[0]:9.1f}%"
        line += f"{auc(within):8.4f}"
        if len(reference) and name != REFERENCE:
            scores, mated, _, _ = compare(features, people, reference, rows)
            line += f"{100 * tar(scores[mated], scores[~mated])[0]:14.1f}%"
        print(line)


def show_effect(
    what: str,
    scores: NDArray[np.float32],
    mated: NDArray[np.bool_],
    difference: NDArray[np.float64],
    edges: tuple[int, ...],
    among: NDArray[np.bool_] | bool = True,
) -> None:
    """TAR of mated pairs by some difference between their images, at one threshold."""
    _, threshold = tar(scores[mated], scores[~mated])
    print(f"\n{'difference of ' + what:46}{'pairs':>8}{'TAR':>8}")
    for low, high in itertools.pairwise(edges):
        chosen = mated & among & (difference >= low) & (difference < high)
        share = f"{100 * (scores[chosen] >= threshold).mean():7.1f}%" if chosen.any() else "-"
        print(f"{f'{low} to {high}':46}{chosen.sum():8}{share:>8}")


def show_effects(
    features: NDArray[np.float32],
    people: NDArray[np.int64],
    yaw: NDArray[np.float64],
    light: NDArray[np.float64],
    domain: NDArray,
) -> None:
    """The effect of pose, in daylight, and of the direction of light, at a similar pose."""
    rows = np.flatnonzero(domain == REFERENCE)
    scores, mated, i, j = compare(features, people, rows, rows)
    show_effect("pose, degrees of yaw", scores, mated, np.abs(yaw[i] - yaw[j]), POSES)
    rows = np.flatnonzero(np.isin(domain, LIT))
    scores, mated, i, j = compare(features, people, rows, rows)
    angle = np.degrees(np.arccos(np.clip((light[i] * light[j]).sum(axis=1), -1, 1)))
    alike = np.abs(yaw[i] - yaw[j]) < 10
    show_effect("light, degrees (yaw within 10)", scores, mated, angle, LIGHTS, alike)


def show_lfw(network: nn.Module, root: Path, pairs_file: Path) -> None:
    """LFW View 2 accuracy; pairs without a crop count as scored 0."""
    pairs = read_pair_list(pairs_file)
    manifest = Manifest.read(root).where(cropped=True)
    where = {Path(path).stem: row for row, path in enumerate(manifest.column("path"))}
    features = embed(network, small_crops(manifest))
    scores = np.zeros(len(pairs))
    for k, pair in enumerate(pairs):
        names = [f"{name}_{number:04d}" for name, number in (pair.first, pair.second)]
        if all(name in where for name in names):
            scores[k] = float(features[where[names[0]]] @ features[where[names[1]]])
    result = fold_accuracy(scores, [p.mated for p in pairs], [p.fold for p in pairs])
    print(f"\nLFW View 2: {100 * result.mean:.2f}% +- {100 * result.standard_error:.2f}")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description="What synthetic faces teach.")
    parser.add_argument("--data", type=Path, required=True, help="made by mfr data synth, split")
    parser.add_argument("--minutes", type=float, default=30, help="of processor time to train")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lfw", type=Path, help="dataset of LFW, imported and aligned")
    parser.add_argument("--pairs", type=Path, help="LFW's pairs.txt")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    keep_freed_memory()
    manifest = Manifest.read(options.data).where(cropped=True)
    training, unseen = (manifest.where(splits=[side]) for side in ("train", "test"))
    if not len(training) or not len(unseen):
        parser.error("the dataset is not split: run 'mfr data split' with a --test share first")
    names = sorted(set(training.column("person")))
    number = {name: k for k, name in enumerate(names)}
    labels = np.array([number[name] for name in training.column("person")], np.int64)
    print(f"world: {manifest.notes['synth']}")
    print(f"training on {len(training)} crops of {len(names)} people, {manifest.domains}")
    network = train(small_crops(training), labels, options)

    features = embed(network, small_crops(unseen))
    people = np.unique(unseen.column("person"), return_inverse=True)[1].astype(np.int64)
    domain = np.array(unseen.column("domain"))
    print(f"unseen: {len(unseen)} crops of {people.max() + 1} people")
    show_domains(features, people, domain)
    known = pq.read_table(options.data / truth.FILE_NAME, columns=["path", "yaw", "light"])
    place = {path: k for k, path in enumerate(known["path"].to_pylist())}
    rows = np.array([place[path] for path in unseen.column("path")])
    yaw = known["yaw"].to_numpy()[rows].astype(np.float64)
    light = np.array(known["light"].to_pylist())[rows]
    show_effects(features, people, yaw, light, domain)
    if options.lfw and options.pairs:
        show_lfw(network, options.lfw, options.pairs)


if __name__ == "__main__":
    main()
