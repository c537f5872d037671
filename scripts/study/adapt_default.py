"""Can the default recogniser be made better on masks with drawn people and drawn masks alone?

Two ways are tried, and judged on LFW and on celebrities with drawn masks, whom neither has seen:

- a linear map behind the network, which cannot forget much: the inverse square root of I + t S;
  S is the second moment of what a drawn mask changes in the embedding of a drawn face, t its
  strength (within-class covariance normalisation, Hatch et al., Interspeech 2006);
- the recipe of 'mfr train' on the network itself, by AdamW at rates that it survives.

    python -m scripts.study.adapt_default --data DRAWN --kept KEPT

DRAWN is made by 'mfr data synth' (domains daylight, side_light and webcam) and split; KEPT holds
the embeddings that scripts.study.default_calibration keeps.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mfr.data.manifest import Manifest
from mfr.data.simulated import SimulatedCrops, with_simulated
from mfr.encoder import Encoder
from mfr.models import load_encoder
from mfr.presets import PRESETS
from mfr.training.averaging import between
from scripts.study.unseen_domains.learning import tune

DOMAINS: Final = ("lfw", "lfw_masked", "celeb_photo", "celeb_photo_masked")
FMRS: Final = (0.01, 0.001)
STRENGTHS: Final = (0.1, 0.2, 0.5, 1.0)
RATES: Final = (1e-5, 3e-5)
_PROBES: Final = 2500
_EACH: Final = 60
_CHUNK: Final = 256


def main() -> None:
    """Fit, tune, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--crops", type=int, default=1200, help="of each domain, for networks")
    options = parser.parse_args()
    kept = {name: _read(options.kept / f"{name}.npz") for name in DOMAINS}
    print("FNMR in % at an FMR of 1% / 0.1%.\n")
    print("| model | " + " | ".join(DOMAINS) + " |\n|---" + "|---" * len(DOMAINS) + "|")
    encoder = load_encoder("dlib-resnet")
    print(_row("as it is", {name: _unit(one["view"]) for name, one in kept.items()}, kept))
    change = _changes(encoder, options.data)
    for strength in STRENGTHS:
        mapped = _whitening(change, strength)
        found = {name: _unit(one["view"] @ mapped) for name, one in kept.items()}
        print(_row(f"linear, strength {strength:g}", found, kept), flush=True)
    some = {name: _some(one, options.crops) for name, one in kept.items()}
    print(f"\nOn crops, {options.crops} of each domain:\n")
    print("| model | " + " | ".join(DOMAINS) + " |\n|---" + "|---" * len(DOMAINS) + "|")
    print(_row("as it is", _embedded(encoder, some), some), flush=True)
    for rate in RATES:
        tuned = tune(_recipe(options.data, rate, options.steps))
        for share in (0.5, 1.0):
            weights = between(tuned.start, tuned.average, share)
            found = _embedded(tuned.built.encoder(weights), some)
            print(_row(f"recipe, rate {rate:g}, share {share:g}", found, some), flush=True)


def _read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {
            "view": (file["view"] + file["mirrored"]).astype(np.float32),
            "persons": np.array([str(one).split("/")[-2] for one in file["paths"]]),
            "crops": file["crops"],
        }


def _some(one: dict[str, Any], count: int) -> dict[str, Any]:
    """The images of people with two or more, as many as fit."""
    people, counts = np.unique(one["persons"], return_counts=True)
    chosen = np.flatnonzero(np.isin(one["persons"], people[counts > 1]))[:count]
    return {"persons": one["persons"][chosen], "crops": one["crops"][chosen]}


def _embedded(encoder: Encoder, some: dict[str, dict[str, Any]]) -> dict[str, NDArray[np.float32]]:
    return {name: encoder.embed(one["crops"]) for name, one in some.items()}


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = features / np.linalg.norm(features, axis=1, keepdims=True)
    return unit


def _changes(encoder: Encoder, data: Path) -> NDArray[np.float32]:
    """What a mask changes in the embedding of each drawn face, (n, 128)."""
    people = Manifest.read(data).where(splits=["train"], cropped=True)
    drawn = with_simulated(people, ["mask"])
    crops = SimulatedCrops(drawn, 2**33)
    masked = np.arange(drawn.real, len(drawn.manifest))
    changes = [
        encoder.embed(crops[rows]) - encoder.embed(crops.undrawn(rows))
        for rows in np.array_split(masked, max(1, len(masked) // _CHUNK))
    ]
    return np.concatenate(changes)


def _whitening(change: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """(I + strength S / mean eigenvalue of S)^(-1/2), symmetric."""
    moment = change.T @ change / len(change)
    values, vectors = np.linalg.eigh(moment)
    scaled = 1 / np.sqrt(1 + strength * values / values.mean())
    whitening: NDArray[np.float32] = ((vectors * scaled) @ vectors.T).astype(np.float32)
    return whitening


def _recipe(data: Path, rate: float, steps: int) -> dict[str, Any]:
    return {
        **{name: value for name, value in PRESETS["recipe"].items() if name != "weight_decay"},
        **{"data": str(data), "sources": ["daylight", "side_light", "webcam"]},
        **{"init": "dlib-resnet", "simulate": ["mask"], "identities": 8, "steps": steps},
        **{"optimiser": "torch.optim:AdamW", "beta": rate, "alpha": 0.0, "clip": 1.0},
        **{"distillation": 100.0, "margin_weight": 0.0, "hard_pair_weight": 1.0},
        "cross_domain_pairs": 0.5,
    }


def _row(name: str, found: dict[str, NDArray[np.float32]], kept: dict[str, dict[str, Any]]) -> str:
    cells = []
    for domain, embeddings in found.items():
        first, second = _fnmr(embeddings, kept[domain]["persons"])
        cells.append(f"{100 * first:.1f} / {100 * second:.1f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def _fnmr(embeddings: NDArray[np.float32], persons: NDArray[np.str_]) -> list[float]:
    """FNMR at `FMRS`: strangers of 2500 images, and all mated pairs of up to 60 of a person."""
    rows = np.random.default_rng(0).permutation(len(persons))[:_PROBES]
    scores = embeddings[rows] @ embeddings.T
    strangers = np.sort(scores[persons[rows][:, None] != persons[None, :]])
    mated = []
    for person in np.unique(persons):
        own = embeddings[np.flatnonzero(persons == person)[:_EACH]]
        mated.append((own @ own.T)[np.triu_indices(len(own), 1)])
    every = np.concatenate(mated)
    places = [int(np.ceil(len(strangers) * (1 - fmr))) - 1 for fmr in FMRS]
    return [float((every <= strangers[place]).mean()) for place in places]


if __name__ == "__main__":
    main()
