from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from data_tools.synth import attachments, head
from data_tools.synth.draws import Draws
from data_tools.synth.identity import draw_identity, head_shape


def test_the_concave_envelope_is_the_hulls_upper_side():
    x = np.array([0, 1, 2, 3, 4], np.float32)
    y = np.array([0, -1, 3, 0, 1], np.float32)
    # The envelope runs straight from (0, 0) to (2, 3), and from there to (4, 1).
    assert attachments._concave(x, y).tolist() == [0, 1.5, 3, 2, 1]
    generator = np.random.default_rng(0)
    x = np.sort(generator.uniform(-5, 5, 40)).astype(np.float32)
    y = generator.normal(0, 1, 40).astype(np.float32)
    envelope = attachments._concave(x, y)
    hull = set(ConvexHull(np.stack([x, y], axis=1)).vertices.tolist())
    on_top = {k for k in range(40) if envelope[k] == pytest.approx(y[k], abs=1e-6)}
    assert on_top <= hull and (envelope >= y - 1e-6).all()
    assert (np.diff(np.diff(envelope) / np.diff(x)) < 1e-4).all()


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("style", ["mask surgical", "mask kn95", "mask cloth"])
def test_a_mask_hides_the_nose_and_nothing_pierces_it(style, number):
    bare = head_shape(draw_identity(3, number), 35.0)
    points = attachments.mask(bare, style, Draws.of_image(3, number, "m", 0), False)[0].points
    tip = head.position_of(bare, *head.grid_coordinates(*head.NOSE_TIP))
    row, column = np.unravel_index(
        np.linalg.norm(points[..., :2] - tip[:2], axis=-1).argmin(), points.shape[:2]
    )
    assert points[row, column, 2] > tip[2]
    # In no row does the stretched cloth sink by more than its rounding.
    hollow = max(float((attachments._concave(r[:, 0], r[:, 2]) - r[:, 2]).max()) for r in points)
    assert hollow < 0.35  # centimetres; it would be 0.4 to 0.9 if the cloth followed the face
