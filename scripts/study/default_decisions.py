"""Decisions of the default recogniser: do they keep to the rates that they state?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.conditions import Calibrations
from mfr.fusion import fused
from mfr.gallery.judging import DEFAULT_FPIR, UNCERTAIN, fpir_among, threshold_within
from scripts.study.default_faces import Found

SEED: Final = 0
FMR: Final = 1e-3
PAIRS: Final = 2_000_000
PROBES: Final = (1, 2, 3, 5)
GALLERIES: Final = (10, 100, 1000, 3000)

_KINDS: Final = {
    "celebrity photographs": ("celeb_photo", "celeb_photo"),
    "celebrity photographs against the same with masks": ("celeb_photo", "celeb_photo_masked"),
    "masked celebrities against each other": ("celeb_photo_masked", "celeb_photo_masked"),
    "celebrity photographs against caricatures": ("celeb_photo", "celeb_caricature"),
    "caricatures against each other": ("celeb_caricature", "celeb_caricature"),
    "Extended Yale B": ("yaleb", "yaleb"),
}


def print_decisions(
    found: dict[str, Found], calibrations: Calibrations, known: Collection[str]
) -> None:
    """Print the tables; what conditions are like was learned from the people ``known``."""
    _print_verification(found, calibrations, known)
    _print_fusion(found, calibrations)
    _print_identification(found["lfw"], calibrations)


def _print_verification(
    found: dict[str, Found], calibrations: Calibrations, known: Collection[str]
) -> None:
    print(f"\n## Verification at a false-match rate of {FMR:g}\n")
    print(
        "What is measured, in %, if everything is judged as photographs, and if each comparison is "
        "judged by the condition of its faces, which was learned from other people. The thresholds "
        "are the shipped ones: celebrity photographs had no part in them, caricatures and Yale B "
        "had.\n"
    )
    print("| faces | FMR, one threshold | FNMR | FMR, by condition | FNMR | unlike all |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(SEED)
    for name, (one, other) in _KINDS.items():
        first, second = found[one], found[other]
        thresholds, conditions = _tables(calibrations)
        kinds = [
            np.array([conditions.get(k, -1) for k in _told(calibrations, each)])
            for each in (first, second)
        ]
        mated, nonmated = _pairs(first, second, known, rng)
        cells = []
        for by_condition in (False, True):
            rates = []
            for i, j in (nonmated, mated):
                scores = np.einsum("nd,nd->n", first.embeddings[i], second.embeddings[j])
                wanted = thresholds[0, 0]
                if by_condition:
                    wanted = thresholds[kinds[0][i], kinds[1][j]]
                rates.append(float((scores >= wanted).mean()))
            cells += [f"{100 * rates[0]:.2f}", f"{100 * (1 - rates[1]):.1f}"]
        i, j = nonmated
        unlike = float(((kinds[0][i] == -1) | (kinds[1][j] == -1)).mean())
        print(f"| {name} | {' | '.join(cells)} | {100 * unlike:.1f} |")


def _told(calibrations: Calibrations, found: Found) -> list[int | None]:
    assert calibrations.regions is not None
    return calibrations.regions.nearest(found.embeddings)


def _tables(calibrations: Calibrations) -> tuple[NDArray[np.float64], dict[int | None, int]]:
    """Thresholds by the numbers of two conditions; -1, the last, is for faces unlike all."""
    names = calibrations.names
    size = len(names) + 1
    table = np.zeros((size, size))
    worst = max(_threshold(calibrations, [name]) for name in names)
    for i in range(size):
        for j in range(size):
            known = i < len(names) and j < len(names)
            table[i, j] = _threshold(calibrations, [names[i], names[j]]) if known else worst
    return table, {i: i for i in range(len(names))}


def _threshold(calibrations: Calibrations, names: Sequence[str]) -> float:
    return max(
        each.threshold_at(max(FMR, each.fmrs[0])) for each in calibrations.between(set(names))
    )


def _pairs(
    first: Found, second: Found, known: Collection[str], rng: np.random.Generator
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Pairs of rows of people who are not ``known``, mated and, drawn, non-mated.

    Never two faces of one photo.
    """
    photo = {path: number for number, path in enumerate(first.paths)}
    same_photos = np.array([photo.get(path, -1) for path in second.paths])
    one, other = np.array(first.persons), np.array(second.persons)
    left, right = (np.flatnonzero(~np.isin(who, list(known))) for who in (one, other))
    i = left[rng.integers(len(left), size=PAIRS)]
    j = right[rng.integers(len(right), size=PAIRS)]
    apart = one[i] != other[j]
    nonmated = i[apart], j[apart]
    rows, columns = [], []
    for person in np.intersect1d(one[left], other[right]):
        a, b = np.flatnonzero(one == person), np.flatnonzero(other == person)
        rows.append(np.repeat(a, len(b)))
        columns.append(np.tile(b, len(a)))
    i, j = np.concatenate(rows), np.concatenate(columns)
    two = same_photos[j] != i
    return (i[two], j[two]), nonmated


def _print_fusion(found: dict[str, Found], calibrations: Calibrations) -> None:
    threshold = calibrations.usual.threshold_at(FMR)
    print("\n## Several probes of one person\n")
    print(
        f"LFW, people with seven photos or more: one template against 1 to 5 probes, at the "
        f"threshold of {FMR:g} for one. FMR / FNMR in %.\n"
    )
    rules = ("mean score (chosen)", "mean embedding of unit length", "best score")
    print(f"| probes | {' | '.join(rules)} |\n|---|---|---|---|")
    lfw = found["lfw"]
    persons = np.array(lfw.persons)
    names, counts = np.unique(persons, return_counts=True)
    rng = np.random.default_rng(SEED)
    rows = [rng.permutation(np.flatnonzero(persons == name)) for name in names[counts >= 7]]
    templates = lfw.embeddings[[own[0] for own in rows]]
    strangers = np.flatnonzero(counts < 7)
    others = lfw.embeddings[np.isin(persons, names[strangers])]
    for count in PROBES:
        totals = np.zeros((3, 2))
        for number, own in enumerate(rows):
            sets = [own[1 + start : 1 + start + count] for start in range(0, 6 - count + 1, count)]
            for probe in sets:
                embeddings = lfw.embeddings[probe]
                direction, length = fused(list(embeddings))
                scores = np.stack(
                    [
                        templates @ direction * length,
                        templates @ direction,
                        (templates @ embeddings.T).max(axis=1),
                    ]
                )
                strange = np.stack(
                    [
                        others @ direction * length,
                        others @ direction,
                        (others @ embeddings.T).max(axis=1),
                    ]
                )
                accepted = scores >= threshold
                totals[:, 1] += ~accepted[:, number] / len(sets)
                accepted[:, number] = False
                wrong = accepted.sum(axis=1) + (strange >= threshold).sum(axis=1)
                totals[:, 0] += wrong / (len(templates) - 1 + len(others)) / len(sets)
        cells = [f"{100 * a / len(rows):.3f} / {100 * b / len(rows):.2f}" for a, b in totals]
        print(f"| {count} | {' | '.join(cells)} |")


def _print_identification(lfw: Found, calibrations: Calibrations) -> None:
    print(f"\n## Identification at a false-positive rate of {DEFAULT_FPIR:g}\n")
    print(
        "Galleries of people of LFW with one template each, drawn ten times; probes are other "
        "photos of theirs (found, uncertain, nobody, somebody else) and one photo of each of up to "
        "2000 strangers (found, uncertain). In %.\n"
    )
    print(
        "| people | stated FPIR | strangers found | uncertain | own found | uncertain | nobody | "
        "somebody else |\n|---|---|---|---|---|---|---|---|"
    )
    persons = np.array(lfw.persons)
    names, counts = np.unique(persons, return_counts=True)
    several, single = names[counts > 1], names[counts == 1]
    for size in GALLERIES:
        shares = np.zeros(6)
        for draw in range(10):
            rng = np.random.default_rng([SEED, size, draw])
            # Up to half of the gallery is of people with other photos, who are searched for.
            own = rng.permutation(several)[: max(1, min(size // 2, len(several) // 2))]
            rest = rng.permutation(single)
            filled, strange = rest[: size - len(own)], rest[size - len(own) :][:2000]
            pick = {name: rng.permutation(np.flatnonzero(persons == name)) for name in own}
            entries = [pick[name][0] for name in own]
            entries += [int(np.flatnonzero(persons == name)[0]) for name in filled]
            basis = calibrations.basis([])
            sure = threshold_within(basis, DEFAULT_FPIR, size)
            unsure = threshold_within(basis, DEFAULT_FPIR * UNCERTAIN, size)
            gallery = lfw.embeddings[entries]
            scores = lfw.embeddings[np.isin(persons, strange)] @ gallery.T
            best = scores.max(axis=1)
            found = [(best >= sure).mean(), ((best >= unsure) & (best < sure)).mean()]
            probes = np.concatenate([pick[name][1:5] for name in own])
            whose = np.concatenate([[i] * len(pick[name][1:5]) for i, name in enumerate(own)])
            scores = lfw.embeddings[probes] @ gallery.T
            best, who = scores.max(axis=1), scores.argmax(axis=1)
            right = who == whose
            found += [
                ((best >= sure) & right).mean(),
                ((best >= unsure) & (best < sure)).mean(),
                (best < unsure).mean(),
                ((best >= sure) & ~right).mean(),
            ]
            shares += np.array(found) / 10
        stated = fpir_among(basis.fmr_at(sure), size)
        cells = [f"{100 * share:.2f}" for share in (stated, *shares)]
        print(f"| {size} | {' | '.join(cells)} |")
