"""The learning rate as a pure function of the step, so that a resumed trial needs no scheduler state."""

import math

from wsnet.config.optim import CosineConfig, MultiStepConfig, ScheduleConfig

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
        below 1 (Goyal et al. 2017, section 2.2, from nearly 0).
    """
    warmup = schedule.warmup_epochs * steps_per_epoch
    share = min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
    return share * _scheduled(schedule, lr, step, steps_per_epoch, epochs)


def _scheduled(schedule: ScheduleConfig, lr: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    epoch = step // steps_per_epoch
    if isinstance(schedule, MultiStepConfig):
        return float(lr * schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
    if isinstance(schedule, CosineConfig):
        done = epoch / epochs if schedule.per == "epoch" else step / (steps_per_epoch * epochs)
        return schedule.final_lr + (lr - schedule.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
    return lr
