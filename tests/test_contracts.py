"""The contracts, held against every entry of the tables."""

from closedloop.bench.contracts import *  # noqa: F403
