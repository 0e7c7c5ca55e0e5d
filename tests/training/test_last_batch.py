"""Online norm where an epoch's last batch has another size: u and v follow the scale of the gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.layers.online_norm_reference import Sequential, error, tensors
from tests.training.trials import trial
from wsnet.layers.online_norm import OnlineNorm2d, online_state
from wsnet.training.loop import Training
from wsnet.training.meter import Meter
from wsnet.training.streams import Streams


@pytest.mark.parametrize(("batch", "last"), [(128, 72), (16, 1), (8, 7)])
def test_gradients_are_those_of_the_sequential_reference_at_one_scale(batch: int, last: int) -> None:
    layer = OnlineNorm2d(4)
    streams = Streams(layer)
    reference = Sequential(torch.ones(4), torch.zeros(4))
    for seed, size in enumerate((batch, batch, last, batch)):
        x, grad = tensors((size, 4, 3, 3), seed)
        x.requires_grad_()
        layer.zero_grad()
        with streams.scaled(batch / size):
            layer(x).backward(grad / size)
        wanted = reference.step(x.detach(), grad / batch)
        assert x.grad is not None and layer.weight is not None and layer.weight.grad is not None
        assert error(x.grad * size / batch, wanted["grad_in"]) < 2e-5
        assert error(layer.weight.grad * size / batch, wanted["grad_weight"]) < 2e-5
        assert error(layer.u, reference.state["u"]) < 2e-5 and error(layer.v, reference.state["v"]) < 2e-5


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("micro_batches", ["auto", "loop"])
def test_a_training_step_on_what_is_left_over_has_the_gradients_of_one_stream(micro_batches: str) -> None:
    def make() -> Training:
        # 104 images: three batches of 32 and one of 8. The weights do not move.
        options = {"data": {"limit": 104}, "model": {"norm": {"name": "online"}}, "optim": {"lr": 1e-30}}
        train = {"batch_size": 32, "micro_batch_size": 4}
        return Training(trial(**options, train=train, execution={"micro_batches": micro_batches}))

    training, plain = make(), make()
    training.model.train(), plain.model.train()
    for step, batch in enumerate(training.batches.epoch(1)):
        training.train_step(step, batch, Meter(torch.device("cpu")))
        plain.model.zero_grad()
        for images, labels in zip(batch.images.split(4), batch.labels.split(4), strict=True):
            (F.cross_entropy(plain.model(images), labels, reduction="sum") / 32).backward()
    assert len(batch.labels) == 8
    for one, other in zip(gradients(training.model), gradients(plain.model), strict=True):
        assert error(one / 4, other) < 1e-4
    for name, value in online_state(plain.model).items():
        assert error(online_state(training.model)[name], value) < 1e-4
