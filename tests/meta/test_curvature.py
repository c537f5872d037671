"""The ways to take a Hessian-vector product, against the Hessian itself."""

import pytest
import torch

from mfr.meta.curvature import forward_over_reverse, recomputed_graph, stored_graph

CURVATURES = [stored_graph, recomputed_graph, forward_over_reverse]


def objective(params):
    """Two losses; ``flat`` enters linearly, so its own second derivative is 0."""
    x, y, flat = params["x"], params["y"], params["flat"]
    return {"one": (x.sin() * y).sum() + (x**3).sum(), "two": (y**2).prod() + 3 * flat.sum()}


@pytest.fixture
def params():
    torch.manual_seed(0)
    return {name: torch.randn(3, dtype=torch.float64) for name in ("x", "y", "flat")}


def hessian(params):
    """(9, 9), by torch."""
    return torch.autograd.functional.hessian(
        lambda v: sum(objective(dict(zip(params, v.chunk(3), strict=True))).values()),
        torch.cat(list(params.values())),
    )


@pytest.mark.parametrize("curvature", CURVATURES)
def test_the_product_is_the_hessians(params, curvature):
    torch.manual_seed(1)
    v = {name: torch.randn_like(p) for name, p in params.items()}
    gradients, losses, product = curvature(objective, params, list(params))
    expected = hessian(params) @ torch.cat(list(v.values()))
    found = product(v)
    columns = [
        torch.zeros(3, dtype=torch.float64) if found.get(name) is None else found[name]
        for name in params
    ]
    torch.testing.assert_close(torch.cat(columns), expected)
    torch.testing.assert_close(gradients["flat"], torch.full_like(params["flat"], 3.0))
    assert set(losses) == {"one", "two"}
    assert not any(t.requires_grad for t in [*gradients.values(), *losses.values()])
    assert not any(p.requires_grad for p in params.values())


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph])
def test_rows_are_the_adapted_parameters_and_columns_all(params, curvature):
    v = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    gradients, _, product = curvature(objective, params, ["y"])
    assert set(gradients) == {"y"}
    expected = v @ hessian(params)[3:6]
    found = product({"y": v})
    torch.testing.assert_close(found["x"], expected[:3])
    torch.testing.assert_close(found["y"], expected[3:6])
    assert found["flat"] is None


@pytest.mark.parametrize("curvature", [stored_graph, recomputed_graph])
def test_a_constant_gradient_has_no_curvature(params, curvature):
    gradients, _, product = curvature(
        lambda p: {"loss": 3 * p["flat"].sum()}, {"flat": params["flat"]}, ["flat"]
    )
    assert gradients["flat"].tolist() == [3.0] * 3
    assert product({"flat": params["x"]}) == {}


@pytest.mark.parametrize(
    ("curvature", "forwards", "on_the_way_back"),
    [(stored_graph, 1, 0), (recomputed_graph, 1, 1), (forward_over_reverse, 1, 1)],
)
def test_how_often_the_objective_is_asked(params, curvature, forwards, on_the_way_back):
    """What a step costs rests on it: a stored graph alone asks once."""
    asked = []

    def counted(p):
        asked.append(1)
        return objective(p)

    _, _, product = curvature(counted, params, list(params))
    assert len(asked) == forwards
    product(params)
    assert len(asked) == forwards + on_the_way_back


def test_forward_over_reverse_refuses_a_subset(params):
    with pytest.raises(ValueError, match="all parameters"):
        forward_over_reverse(objective, params, ["x"])
