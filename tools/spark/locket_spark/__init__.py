"""Builds packs from a billion interactions: Locket's pack builder on Apache Spark."""

from .algebra import Fit
from .filters import Filters
from .frames import from_edges, from_interactions, from_profiles
from .job import build

__all__ = ["Filters", "Fit", "build", "from_edges", "from_interactions", "from_profiles"]
