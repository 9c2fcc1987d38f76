"""What every test and every example starts from: eight virtual CPU devices, and the names that examples use."""

import jax
import jax.numpy as jnp
import pytest

import rnnjax

jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(autouse=True, scope="session")
def names(doctest_namespace):
    doctest_namespace.update(jax=jax, jnp=jnp, rnnjax=rnnjax)
