"""The words of papers for the keys and values of a sweep file; `names.py` puts them together."""

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "AXES",
    "DATA_SETS",
    "NORMS",
    "OPTIMIZERS",
    "PHRASES",
    "QUANTITIES",
    "SCHEDULES",
    "SPLITS",
    "WEIGHTS",
]

NORMS = {
    "batch": "BatchNorm",
    "sync_batch": "SyncBatchNorm",
    "ghost_batch": "Ghost BatchNorm",
    "batch_renorm": "Batch Renorm",
    "group": "GroupNorm",
    "layer": "LayerNorm",
    "instance": "InstanceNorm",
    "filter_response": "FRN",
    "evonorm_s0": "EvoNorm-S0",
    "online": "online norm",
    "none": "no norm",
}
"""Of `model.norm.name`."""

WEIGHTS = {"standardized": "WS", "normalized": "WN"}
"""Of `model.weight`: weight standardization and weight normalization."""

ARCHITECTURES = {
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "resnet": "ResNet",
    "cifar_resnet": "ResNet",
    "preact_resnet": "PreAct-ResNet",
    "wrn": "WRN",
    "resnext": "ResNeXt",
    "cifar_resnext": "ResNeXt",
    "densenet": "DenseNet",
    "cifar_densenet": "DenseNet",
    "pyramidnet": "PyramidNet",
    "shake_shake": "Shake-Shake",
}
"""Of `model.name`."""

DATA_SETS = {
    "digits": "digits",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "imagenet": "ImageNet",
}
"""Of `data.name`."""

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "lars": "LARS"}
"""Of `optim.name`."""

SCHEDULES = {
    "constant": "constant lr",
    "multistep": "step schedule",
    "cosine": "cosine schedule",
    "polynomial": "polynomial schedule",
    "one_cycle": "one-cycle schedule",
}
"""Of `optim.schedule.name`."""

AUGMENTATIONS = {
    "crop_padding": "crop",
    "random_resized_crop": "resized crop",
    "flip": "flip",
    "color_jitter": "colour jitter",
    "greyscale": "greyscale",
    "cutout": "Cutout",
    "random_erasing": "random erasing",
    "mixup": "mixup",
    "cutmix": "CutMix",
    "ricap": "RICAP",
    "dual_cutout": "dual Cutout",
}
"""Keys of `data.augment`."""

AXES = {
    "case": "case",
    "data.name": "data set",
    "data.augment": "augmentation",
    "data.augment.crop_padding": "crop padding (pixels)",
    "data.augment.cutout.size": "Cutout size (pixels)",
    "data.augment.cutout.probability": "Cutout probability",
    "data.augment.mixup.alpha": "mixup alpha",
    "data.augment.cutmix.alpha": "CutMix alpha",
    "data.augment.cutmix.probability": "CutMix probability",
    "data.augment.random_erasing.probability": "random erasing probability",
    "data.limit": "training images",
    "model": "model",
    "model.name": "architecture",
    "model.norm": "norm",
    "model.norm.name": "norm",
    "model.weight": "weight reparametrization",
    "model.weight_init": "initialization of normalized weights",
    "model.residual_init": "initialization of residual branches",
    "model.se_reduction": "squeeze-and-excitation reduction",
    "model.norm.eps": "norm eps",
    "model.norm.momentum": "norm momentum",
    "optim.name": "optimizer",
    "optim.lr": "learning rate",
    "optim.schedule": "schedule",
    "optim.schedule.name": "schedule",
    "optim.schedule.gamma": "factor at milestones",
    "optim.schedule.warmup_epochs": "warm-up epochs",
    "optim.scale_with_batch.rule": "learning-rate rule",
    "train.batch_size": "batch size",
    "train.micro_batch_size": "micro-batch size",
    "train.ema.decay": "decay of the weight average",
    "train.evaluation_statistics": "evaluation statistics",
    "train.evaluation_statistics.name": "evaluation statistics",
    "setting_id": "setting",
}
"""Names of keys as axes; any other key is its last part, with spaces."""

PHRASES = {
    "data.augment.crop_padding": "crop padding {}",
    "data.augment.cutout.size": "Cutout {}",
    "data.augment.cutmix.alpha": "CutMix {}",
    "data.augment.mixup.alpha": "mixup {}",
    "data.augment.random_erasing.probability": "random erasing {}",
    "data.limit": "{} images",
    "model.cardinality": "cardinality {}",
    "model.depth": "depth {}",
    "model.dropout": "dropout {}",
    "model.widening": "widening {}",
    "model.width": "width {}",
    "model.norm.backward_decay": "backward decay {}",
    "model.norm.forward_decay": "forward decay {}",
    "model.norm.ghost_size": "ghost size {}",
    "model.norm.groups": "{} groups",
    "model.norm.momentum": "norm momentum {}",
    "optim.lr": "lr {}",
    "optim.momentum": "momentum {}",
    "optim.weight_decay": "weight decay {}",
    "train.batch_size": "batch size {}",
    "train.ema.decay": "averaged weights, decay {}",
    "train.epochs": "{} epochs",
    "train.label_smoothing": "label smoothing {}",
    "train.micro_batch_size": "micro-batch size {}",
    "setting_id": "setting {}",
}
"""How a number on an axis stands in a setting's name; any other key is `key=value`."""

SPLITS = {
    "train": ("training", ""),
    "validation": ("validation", ""),
    "test": ("test", ""),
    "validation_ema": ("validation", ", averaged weights"),
    "test_ema": ("test", ", averaged weights"),
}
"""The first part of a metric: a word before the quantity, and one after it."""

QUANTITIES = {
    "top1_error": "error (%)",
    "top5_error": "top-5 error (%)",
    "top1_accuracy": "accuracy (%)",
    "top5_accuracy": "top-5 accuracy (%)",
    "error": "error (%)",
    "accuracy": "accuracy (%)",
    "loss": "loss",
}
"""The second part of a metric."""
