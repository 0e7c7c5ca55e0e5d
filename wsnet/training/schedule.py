"""The learning rate as a pure function of the step, so that a resumed trial needs no scheduler state."""

import math

from wsnet.config.optim import CosineConfig, MultiStepConfig, OneCycleConfig, PolynomialConfig, ScheduleConfig

__all__ = ["learning_rate"]


def learning_rate(schedule: ScheduleConfig, lr: float, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Learning rate of one optimizer step.

    Args:
        schedule: how the learning rate moves.
        lr: learning rate before the schedule.
        step: number of the step, from 0, over the whole training.
        steps_per_epoch: steps in one epoch.
        epochs: epochs in all.

    Returns:
        The scheduled rate, times the share of the warm-up that is done: (step + 1) / (warm-up steps) while that is
        below 1 (Goyal et al. 2017, section 2.2, from nearly 0). One-cycle schedules have their own rise instead.
    """
    if isinstance(schedule, OneCycleConfig):
        return _one_cycle(schedule, lr, step, steps_per_epoch * epochs)
    warmup = schedule.warmup_epochs * steps_per_epoch
    share = min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
    return share * _scheduled(schedule, lr, step, steps_per_epoch, epochs)


def _scheduled(schedule: ScheduleConfig, lr: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    epoch = step // steps_per_epoch
    if isinstance(schedule, MultiStepConfig):
        return float(lr * schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
    if isinstance(schedule, CosineConfig | PolynomialConfig):
        done = epoch / epochs if schedule.per == "epoch" else step / (steps_per_epoch * epochs)
        if isinstance(schedule, PolynomialConfig):
            return schedule.final_lr + (lr - schedule.final_lr) * float((1 - done) ** schedule.power)
        return schedule.final_lr + (lr - schedule.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
    return lr


def _one_cycle(schedule: OneCycleConfig, lr: float, step: int, steps: int) -> float:
    """The phases of torch's OneCycleLR: the peak is at step `pct_start * steps - 1`, the end at the last step."""
    start, end = lr / schedule.div_factor, lr / schedule.div_factor / schedule.final_div_factor
    peak = schedule.pct_start * steps - 1
    if step <= peak:
        return _between(schedule, start, lr, step / peak if peak else 1.0)
    return _between(schedule, lr, end, (step - peak) / (steps - 1 - peak))


def _between(schedule: OneCycleConfig, first: float, last: float, share: float) -> float:
    if schedule.anneal == "linear":
        return first + (last - first) * share
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
