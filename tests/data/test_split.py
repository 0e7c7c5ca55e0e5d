"""Stratified subsets."""

import numpy as np
import pytest

from wsnet.data.split import complement, stratified

LABELS = np.random.default_rng(0).integers(0, 7, 1000)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 123, 999, 1000])
def test_every_class_gets_its_share(count: int) -> None:
    chosen = stratified(LABELS, count, purpose="test")
    assert len(chosen) == len(set(chosen)) == count
    assert (np.diff(chosen) > 0).all()
    exact = np.bincount(LABELS, minlength=7) * count / len(LABELS)
    assert (np.abs(np.bincount(LABELS[chosen], minlength=7) - exact) < 1).all()


def test_a_choice_never_changes() -> None:
    assert stratified(np.arange(30) % 3, 6, purpose="never changes").tolist() == EXPECTED


def test_two_purposes_choose_differently() -> None:
    assert not np.array_equal(stratified(LABELS, 100, purpose="one"), stratified(LABELS, 100, purpose="two"))


def test_the_complement_is_all_the_rest_in_order() -> None:
    chosen = stratified(LABELS, 123, purpose="test")
    rest = complement(chosen, 1000)
    assert (np.diff(rest) > 0).all()
    assert sorted([*chosen, *rest]) == list(range(1000))


def test_more_samples_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 to 1000 samples, but got 1001"):
        stratified(LABELS, 1001, purpose="test")


# Written down once: trials of different versions of this code must not mix splits without SPLIT_VERSION being raised.
EXPECTED = [1, 6, 13, 21, 26, 29]
