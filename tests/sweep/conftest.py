"""One Ray for all the tests: starting it takes longer than a tiny sweep."""

from collections.abc import Iterator

import pytest

from wsnet.sweep.ray_session import Session, ray_session


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
