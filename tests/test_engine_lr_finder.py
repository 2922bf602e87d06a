import numpy as np
import pytest
import torch
from torch import nn

from intarsia.core.errors import IntarsiaError
from intarsia.engine.lr_finder import RangeTest, range_test


def quadratic():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.1))
    optimiser = torch.optim.Adam([{"params": network.parameters(), "factor": 1.0, "lr": 1e-3}])
    inputs, wanted = torch.randn(16, 4), torch.randn(16, 4)

    def step():
        loss = (network(inputs) - wanted).pow(2).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss.item()

    return network, optimiser, step


def test_everything_is_left_as_it_was():
    network, optimiser, step = quadratic()
    step()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    state = {name: value.clone() for name, value in optimiser.state_dict()["state"][0].items()}
    rate, random = optimiser.param_groups[0]["lr"], torch.get_rng_state()
    range_test(network, optimiser, step, steps=40)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert all(torch.equal(value, state[name]) for name, value in optimiser.state_dict()["state"][0].items())
    assert optimiser.param_groups[0]["lr"] == rate
    assert torch.equal(torch.get_rng_state(), random)


def test_it_stops_where_the_loss_explodes_and_suggests_a_rate_before():
    network, optimiser, step = quadratic()
    found = range_test(network, optimiser, step, highest=1e6, steps=200)
    assert found.rates[-1] < 1e6
    assert found.rates[0] < found.valley < found.rates[np.argmin(found.losses)]
    assert found.rates[0] < found.steepest <= found.rates[np.argmin(found.losses)]


def test_the_steepest_point_of_a_known_curve():
    rates = np.logspace(-5, 0, 51)
    losses = 2 - 1 / (1 + np.exp(-4 * (np.log10(rates) + 2.5)))  # falls fastest at 10^-2.5
    losses[45:] = 5
    assert RangeTest(rates, losses).steepest == pytest.approx(10**-2.5)


def test_a_loss_that_explodes_at_once_is_an_error():
    network, optimiser, _ = quadratic()
    with pytest.raises(IntarsiaError, match=r"at least 5 steps before the loss explodes, received 0. Lower --lowest"):
        range_test(network, optimiser, lambda: float("nan"), steps=20)
