"""How large MFR's losses and their gradients are at the start of a run, by scale and batch size.

A network that recognises people already is taken as it is; nothing is trained. Domain alignment is
measured a second time with the domains of identities exchanged at random, which leaves nothing but
the noise of drawing few of them.

    python -m scripts.study.why_mfr_lost --data DATASET --init WEIGHTS
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import EpisodeSampler, IdentityPool
from mfr.losses import domain_alignment, hard_pair_attention, soft_classification, thresholds
from mfr.training.methods.images import ImageSource
from mfr.training.methods.network import FaceNetwork
from mfr.training.normalisation import train_with_frozen_statistics
from mfr.training.starting import initial_network, training_people

SCALES: Final = (64.0, 16.0, 8.0, 4.0, 2.0, 1.0)
SIZES: Final = (16, 64)
_STEPS: Final = {16: 4, 64: 1}
_SHUFFLES: Final = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--sources", nargs="+", default=["lfw", "celeb_photo", "yaleb"])
    options = parser.parse_args()
    config = RunConfig(data=options.data, sources=options.sources, init=options.init)
    people = training_people(Manifest.read(options.data).where(domains=options.sources), config)
    pool, store = IdentityPool(people, options.sources), CropStore(people, 2**33)
    network = initial_network(config, 0).network
    train_with_frozen_statistics(network)
    print("## Scale\n")
    print(
        f"Meta-train sides of episodes; frozen statistics; {', '.join(options.sources)}; "
        "means over episodes. Norms are of the gradient with respect to all weights.\n"
    )
    print(
        "| B | s | L_hp | L_cls | L_da | L_da, domains shuffled | grad L_hp | grad L_cls "
        "| grad L_da | L_da / L_cls |"
    )
    print("|---" * 10 + "|")
    noises: dict[int, float] = {}
    for size in SIZES:
        found = [
            _measure(network, images, domains)
            for images, domains in _sides(network, config, pool, store, size)
        ]
        hard, by_scale = (
            np.mean([one[0] for one in found], 0),
            np.mean([one[1] for one in found], 0),
        )
        noises[size] = by_scale[0][2] / by_scale[0][1]
        for scale, row in zip(SCALES, by_scale, strict=True):
            cls, da, noise, grad_cls, grad_da = row
            print(
                f"| {size} | {scale:g} | {hard[0]:.2f} | {cls:.2f} | {da:.3g} | {noise:.3g} "
                f"| {hard[1]:.2f} | {grad_cls:.2f} | {grad_da:.3g} | {grad_da / grad_cls:.1f} |",
                flush=True,
            )

    noise = " and ".join(f"{share:.0%} with {size}" for size, share in noises.items())
    print(
        "\nDomain alignment grows with the square of s and soft classification does not. Of its "
        "value, with domains\nshuffled among the identities, so that there is nothing to align, "
        f"{noise} identities is left:\nthe noise of drawing few people. A rate that this "
        "gradient survives teaches nothing else.\n"
    )
    _leaks(pool)
    print(
        "\n## Statistics, start, averaging\n\n"
        "Batch statistics against those of the start, and points between start and end, are rows "
        "of\n[unseen-domains](unseen-domains.md); MFR from a converged start, on people who stand "
        "in one domain\neach, is the [quickstart](quickstart.md). With batch statistics "
        "and s = 64 it\nlost 9 points to its start on caricatures "
        "([unseen-caricature](unseen-caricature.md))."
    )


def _leaks(pool: IdentityPool) -> None:
    """Who stands in several sources: aggregation has them as one class, MFR never pairs them."""
    shared = [own for own in pool.of_person.values() if len({one.domain for one in own}) > 1]
    images = sum(len(one.rows) for own in shared for one in own)
    print("## Leaks\n")
    print(
        f"Of {pool.classes} people, {len(shared)} stand in several of the source domains, with "
        f"{images} of {len(pool.rows)} images.\nFor aggregation each is one class, so that it "
        "learns from pairs across domains; an episode of the\npaper's pairs within a domain only."
    )


def _sides(
    network: FaceNetwork, config: RunConfig, pool: IdentityPool, store: CropStore, size: int
) -> list[tuple[Tensor, Tensor]]:
    """Images and domains of meta-train sides with ``size`` identities."""
    sampler, source = EpisodeSampler(pool, size, 0), ImageSource.of(config, store)
    sides = []
    for step in range(_STEPS[size]):
        for i, episode in enumerate(sampler.meta_batch(step)):
            pairs = source.pairs(episode.meta_train, step, i)
            sides.append((network.images(pairs.crops), pairs.domains))
    return sides


def _measure(
    network: FaceNetwork, images: Tensor, domains: Tensor
) -> tuple[list[float], list[list[float]]]:
    """L_hp and its gradient's norm; by scale L_cls, L_da, L_da of noise, and two norms."""
    features = network(images)
    gallery, probe = features.chunk(2)
    parameters = [p for p in network.parameters() if p.requires_grad]

    def norm(loss: Tensor) -> float:
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        squares = [g.square().sum() for g in found if g is not None]
        return float(torch.stack(squares).sum().sqrt())

    def value_and_norm(loss: Callable[..., Tensor], *inputs: Tensor, **how: float) -> list[float]:
        value = loss(gallery, probe, *inputs, **how)
        return [float(value.detach()), norm(value)]

    tau_p, tau_n = thresholds(0)
    hard = value_and_norm(hard_pair_attention, tau_p=tau_p, tau_n=tau_n)
    torch.manual_seed(0)
    pair = gallery.detach(), probe.detach()
    orders = (torch.randperm(len(domains)) for _ in range(_SHUFFLES))
    shuffled = float(
        np.mean([float(domain_alignment(*pair, domains[order], scale=1)) for order in orders])
    )
    # L_da is s^2 times what it is at s = 1, and so is its gradient.
    alignment, alignment_norm = value_and_norm(domain_alignment, domains, scale=1.0)
    rows: list[list[float]] = []
    for scale in SCALES:
        cls, cls_norm = value_and_norm(soft_classification, scale=scale)
        square = scale**2
        rows.append([cls, square * alignment, square * shuffled, cls_norm, square * alignment_norm])
    return hard, rows


if __name__ == "__main__":
    main()
