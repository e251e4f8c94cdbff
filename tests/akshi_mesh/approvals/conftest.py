"""A desk's world, and three nodes."""

import pytest

from tests.akshi_mesh.approvals.desks import ALICE, BOB, World
from tests.akshi_mesh.approvals.offices import NODE, Net, Site


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def node(net: Net) -> Site:
    return net.site(NODE, ALICE, BOB)


@pytest.fixture
def alice(net: Net, node: Site) -> Site:
    site = net.site(ALICE)
    net.link(NODE, ALICE)
    return site
