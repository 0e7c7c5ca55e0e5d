"""One Ray for all the tests: starting it takes longer than a tiny sweep."""

from collections.abc import Iterator

import pytest

from tests.sweep.tiny import ON_TWO_WORKERS, Ran, train, write
from wsnet.sweep.cluster.ray_session import Session, ray_session


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[Session]:
    """A quiet Ray with 2 CPUs; later calls of `ray_session` reuse it."""
    with ray_session(address=None, cpus=2) as session:
        yield session


@pytest.fixture(scope="session")
def cluster(shared_ray: Session) -> str:
    """The address of `shared_ray`, for sweeps in separate processes."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="session")
def on_two_workers(shared_ray: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The sweep `ON_TWO_WORKERS`, trained: each trial takes many seconds, most of them to start its processes."""
    folder = tmp_path_factory.mktemp("workers")
    return train(write(folder, **ON_TWO_WORKERS), folder)
