"""Reproducible stratified subsets: chosen by a hash of each sample's index, not by a library's random generator."""

import numpy as np
import torch
from numpy.typing import NDArray

from wsnet.config.seeding import derive_seed
from wsnet.data.images import Labels
from wsnet.data.random import random_bits

__all__ = ["SPLIT_VERSION", "complement", "stratified"]

# Part of every trial's identity; increment it whenever the functions below change what they choose.
SPLIT_VERSION = 1


def stratified(labels: Labels, count: int, *, purpose: str) -> NDArray[np.int64]:
    """Choose `count` samples, stratified by class (largest remainder; ties go to the lower class).

    Args:
        labels: int64 (N,).
        count: how many to choose.
        purpose: names the choice; different purposes choose independently.

    Returns:
        Indices into `labels`, ascending, int64 (count,).

    Raises:
        ValueError: if `count` is not between 0 and N.
    """
    if not 0 <= count <= len(labels):
        raise ValueError(f"a subset must have 0 to {len(labels)} samples, but got {count}")
    present, sizes = np.unique(labels, return_counts=True)
    quotas, remainders = np.divmod(count * sizes, len(labels)) if len(labels) else (sizes, sizes)
    quotas[np.argsort(-remainders, kind="stable")[: count - quotas.sum()]] += 1
    hashes = random_bits(derive_seed("split", purpose), torch.arange(len(labels))).numpy()
    by_class = np.lexsort((hashes, labels))  # class by class, within a class by hash
    starts = np.cumsum(sizes) - sizes
    chosen = [by_class[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(chosen)) if len(present) else np.empty(0, np.int64)


def complement(indices: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The indices below n that are not in `indices`, ascending."""
    left = np.ones(n, dtype=bool)
    left[indices] = False
    return np.flatnonzero(left)
