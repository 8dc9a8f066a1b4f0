"""Packs from a billion interactions: the population side of Locket on Apache Spark."""

from .algebra import Fit
from .filters import Filters
from .job import build, from_edges, from_profiles

__all__ = ["Filters", "Fit", "build", "from_edges", "from_profiles"]
