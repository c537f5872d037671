"""How well groups agree with the people behind them: pairwise and BCubed figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.cluster import contingency_matrix


@dataclass(frozen=True)
class GroupingScores:
    """Agreement of groups with people, each 0 to 1.

    Attributes:
        pair_precision: of the pairs of faces in one group, the share of one person.
        pair_recall: of the pairs of faces of one person, the share in one group.
        precision: BCubed: for a face, the share of its group that is of its person, over all faces.
        recall: BCubed: for a face, the share of its person that is in its group, over all faces.
        f: BCubed: the harmonic mean of the two (Bagga and Baldwin, Entity-based cross-document
            coreferencing using the vector space model, COLING-ACL 1998; Amigó et al., A comparison
            of extrinsic clustering evaluation metrics, Information Retrieval 12, 2009).
    """

    pair_precision: float
    pair_recall: float
    precision: float
    recall: float
    f: float


def score_grouping(people: NDArray[np.int64], groups: NDArray[np.int64]) -> GroupingScores:
    """Compare groups (n,) with people (n,); a face of no group counts as a group of its own.

    Where there are no pairs, their share is 1.
    """
    table = contingency_matrix(people, groups, sparse=True).tocoo()
    both = table.data.astype(float)
    count = len(people)
    of_person = np.bincount(table.row, both)
    of_group = np.bincount(table.col, both)
    pairs = (both**2).sum() - count
    in_groups = (of_group**2).sum() - count
    in_people = (of_person**2).sum() - count
    precision = float((both**2 / of_group[table.col]).sum() / count)
    recall = float((both**2 / of_person[table.row]).sum() / count)
    return GroupingScores(
        pair_precision=float(pairs / in_groups) if in_groups else 1.0,
        pair_recall=float(pairs / in_people) if in_people else 1.0,
        precision=precision,
        recall=recall,
        f=2 * precision * recall / (precision + recall),
    )
