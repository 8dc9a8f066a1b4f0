"""A population as numbered interactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Numbered:
    """Interactions with people and items as numbers, in the order in which they first appear.

    `met`: user, item, seq (the first), each pair once. `said`: the public texts on one line; None where there is none.
    `items`: number, item, title, category. `keys`: of each item, by number.
    """

    spark: SparkSession
    met: DataFrame
    said: DataFrame | None
    items: DataFrame
    people: int
    keys: np.ndarray
