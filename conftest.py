"""What every test and every example starts from: eight virtual CPU devices, and the names that examples use."""

import os

import jax
import jax.numpy as jnp
import pytest

import rnnjax

jax.config.update("jax_num_cpu_devices", 8)
if jax.__version_info__ < (0, 11):  # whose newer emitters take three times as long to compile what is small
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"


@pytest.fixture(autouse=True, scope="session")
def names(doctest_namespace):
    doctest_namespace.update(jax=jax, jnp=jnp, rnnjax=rnnjax)
