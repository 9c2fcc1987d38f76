"""What tests of real data share: whether a package that has it is there, and that parts have nothing in common."""

import itertools
from importlib import metadata


def installed(package):
    """Whether a package is installed; it is not imported."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def apart(sets):
    """Hold sets to be filled, and no two of them to share a member."""
    for one, other in itertools.combinations(list(sets), 2):
        assert one and other and not one & other
