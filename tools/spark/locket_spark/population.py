"""A population as numbered interactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Numbered:
    """Interactions with users and items as numbers, in the order of their first appearance.

    `met`: user, item, seq (the first), each pair once. `said`: the public texts on one line, or
    None if there are none. `items`: number, item, title, category. `keys`: hash of each item's id,
    by number.
    """

    spark: SparkSession
    met: DataFrame
    said: DataFrame | None
    items: DataFrame
    people: int
    keys: np.ndarray
