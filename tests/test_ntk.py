"""The kernel and its condition number."""

import pytest
import torch
from torch import nn

from asvit.complexity.ntk import SingularKernel, condition_number, kernel


def test_kernel_of_a_linear_model_is_the_gram_matrix_of_its_inputs():
    x = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(kernel(lambda rows: rows @ weight, [weight], x), x @ x.T)


def test_kernel_sums_over_parameters_and_agrees_with_the_whole_jacobian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    names = dict(model.named_parameters())

    def outputs(parameters):
        return torch.func.functional_call(model, parameters, (x,)).sum(1)

    jacobian = torch.func.jacrev(outputs)({k: v.detach() for k, v in names.items()})
    whole = torch.cat([j.flatten(1) for j in jacobian.values()], dim=1)
    torch.testing.assert_close(kernel(lambda rows: model(rows).sum(1), list(names.values()), x), whole @ whole.T)


def test_unused_parameters_add_nothing():
    weight, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with_unused = kernel(lambda rows: rows @ weight, [unused, weight], x)
    torch.testing.assert_close(with_unused, kernel(lambda rows: rows @ weight, [weight], x))


def test_condition_number_is_the_ratio_of_eigenvalues():
    q, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    gram = q @ torch.diag(torch.tensor([1.0, 2, 3, 5, 8, 400], dtype=torch.float64)) @ q.T
    assert condition_number(gram) == pytest.approx(400, rel=1e-10)


@pytest.mark.parametrize(
    "gram",
    [
        torch.zeros(3, 3, dtype=torch.float64),
        torch.ones(3, 3, dtype=torch.float64),
        torch.diag(torch.tensor([1.0, -1e-3], dtype=torch.float64)),
        torch.diag(torch.tensor([1.0, float("nan")], dtype=torch.float64)),
        torch.diag(torch.tensor([1.0, float("inf")], dtype=torch.float64)),
    ],
    ids=["zero", "rank one", "negative", "nan", "infinite"],
)
def test_a_kernel_without_a_condition_number_is_refused(gram):
    with pytest.raises(SingularKernel):
        condition_number(gram)


def test_two_equal_images_make_the_kernel_singular():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x = torch.randn(4, 4)
    x[3] = x[0]
    with pytest.raises(SingularKernel, match="singular"):
        condition_number(kernel(lambda rows: model(rows).sum(1), list(model.parameters()), x))
