"""Memory of the activations that a training step keeps from its forward for its backward pass."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from wsnet.config.model import ModelConfig
from wsnet.models.build import build
from wsnet.models.complexity import counting_device

__all__ = ["activation_bytes", "saved_bytes"]


def activation_bytes(model: ModelConfig, classes: int, shape: tuple[int, int, int]) -> int:
    """Bytes of activations that one more image of a batch adds to a training step, in float32.

    The difference between three images and two, so that what a batch has once (running statistics, their copies) does
    not count. Parameters, their gradients and the optimizer's state come on top; so does, with `checkpointing`, what
    one block needs while it is computed again.

    Args:
        model: the model's configuration.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: as `build`.
    """
    with torch.device(counting_device(model)):
        network = build(model, classes=classes, shape=shape).train()
        two, three = (saved_bytes(network, torch.zeros(images, *shape)) for images in (2, 3))
    return three - two


def saved_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes that autograd keeps between the forward and the backward pass of a batch, parameters not counted.

    A storage that several operations keep counts once. Only the forward pass is run.

    Args:
        model: any, in the mode that is asked about; on the meta device nothing is computed.
        images: N x C x H x W, on the model's device.
    """
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # Held, so that its address is not given to another.
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(images)
        logits = output if isinstance(output, Tensor) else output[0]
        F.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64, device=images.device))
    return sum(storage.nbytes() for storage in kept.values())
