import pytest

from wsnet.config import ConfigError
from wsnet.config.sweep import ResourcesConfig
from wsnet.sweep.cluster.ray_session import Node
from wsnet.sweep.cluster.resources import Allocation, allocate


def share(*nodes: Node, device: str = "auto", **resources: float) -> Allocation:
    return allocate(ResourcesConfig.model_validate(resources), list(nodes), devices={device}, path="sweep.yaml")


CPUS, GPU, TWO_GPUS = Node(cpus=2), Node(cpus=16, gpus=1), Node(cpus=16, gpus=2)


def test_without_a_gpu_each_trial_gets_one_cpu() -> None:
    assert share(CPUS) == Allocation(cpus=1, gpus=0, concurrent=2)


def test_with_gpus_each_trial_gets_one_and_the_cpus_that_go_with_it() -> None:
    assert share(TWO_GPUS) == Allocation(cpus=8, gpus=1, concurrent=2)


def test_a_gpu_may_be_shared() -> None:
    assert share(GPU, gpus_per_worker=0.25) == Allocation(cpus=4, gpus=0.25, concurrent=4)


@pytest.mark.parametrize(("each", "fits"), [(0.1, 20), (0.2, 10), (0.3, 6), (0.5, 4)])
def test_fractions_fit_as_often_as_they_do_on_paper(each: float, fits: int) -> None:
    assert share(CPUS, cpus_per_worker=each).concurrent == fits


@pytest.mark.parametrize(("each", "fits"), [(0.1, 10), (0.2, 5), (0.3, 3)])
def test_fractions_of_a_gpu_too(each: float, fits: int) -> None:
    assert share(GPU, cpus_per_worker=1, gpus_per_worker=each).concurrent == fits


def test_trials_on_the_cpu_leave_the_gpus_alone() -> None:
    assert share(GPU, device="cpu") == Allocation(cpus=1, gpus=0, concurrent=16)


def test_a_machine_without_gpus_beside_one_with_them_does_not_inflate_the_share() -> None:
    assert share(Node(cpus=64), GPU) == Allocation(cpus=16, gpus=1, concurrent=1)


def test_a_worker_lies_on_one_machine_and_a_trial_on_several() -> None:
    assert share(CPUS, CPUS, cpus_per_worker=2, workers=2).concurrent == 1
    with pytest.raises(ConfigError, match="1 worker of 3 CPUs and 0 GPUs, but the cluster has 2 nodes with 4 CPUs"):
        share(CPUS, CPUS, cpus_per_worker=3)


def test_no_more_trials_than_asked_for() -> None:
    assert share(GPU, device="cpu", max_concurrent=3).concurrent == 3


def test_a_trial_that_asks_for_cuda_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match=r"execution\.device='cuda' needs a GPU"):
        share(CPUS, device="cuda")
    with pytest.raises(ConfigError, match="a worker gets none"):
        share(GPU, device="cuda", gpus_per_worker=0)
