import pytest
import torch

from intarsia.engine.schedules import SCHEDULES, momentum_of_one_cycle, one_cycle


@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_one_cycle_is_that_of_torch(warmup):
    steps = 101
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0, momentum=0.9)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=steps, pct_start=warmup)
    peak = warmup * steps - 1  # torch counts its warm-up in steps and turns at this one
    for step in range(steps):
        done = warmup * step / peak if step <= peak else warmup + (1 - warmup) * (step - peak) / (steps - 1 - peak)
        assert one_cycle(done, warmup) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        assert momentum_of_one_cycle(done, warmup) == pytest.approx(optimiser.param_groups[0]["momentum"], abs=1e-9)
        optimiser.step()
        if step + 1 < steps:
            reference.step()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_every_schedule_peaks_at_one_after_its_warmup_and_never_goes_below_zero(name, warmup):
    values = [SCHEDULES[name](step / 100, warmup) for step in range(101)]
    assert max(values) == pytest.approx(1) == values[round(100 * warmup)]
    assert min(values) >= 0
    rising = values[: round(100 * warmup) + 1]
    assert rising == sorted(rising)
