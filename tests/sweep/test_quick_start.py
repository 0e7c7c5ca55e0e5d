"""Ray starts without waiting for its dashboard's agents, on ports that nobody else is given."""

import socket
from contextlib import ExitStack

import pytest

from wsnet.sweep.cluster.quick_start import _reserve
from wsnet.sweep.cluster.ray_session import Session


def test_a_reserved_port_is_given_to_nobody_else_but_a_server_can_listen_there() -> None:
    with ExitStack() as reserved:
        port = _reserve("127.0.0.1", reserved)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)):  # It shares its address, as Ray's agents do.
            pass
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


@pytest.mark.slow
def test_the_agents_of_a_ray_that_was_started_here_listen_where_its_raylet_looks_for_them(shared_ray: Session) -> None:
    import ray
    from ray._private import worker

    assert shared_ray.is_own
    params, (node,) = worker._global_node._ray_params, ray.nodes()
    assert node["Alive"] and params.runtime_env_agent_port > 0

    @ray.remote(num_cpus=0, runtime_env={"env_vars": {"ASKED": "yes"}})
    def environment() -> str:
        import os

        return os.environ["ASKED"]

    # The agent of runtime environments is asked, by the raylet, at that port.
    assert ray.get(environment.remote(), timeout=120) == "yes"
    socket.create_connection((node["NodeManagerAddress"], params.runtime_env_agent_port), timeout=60).close()
