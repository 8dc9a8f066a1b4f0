"""Fits the spectrum, item neighbours and content edges of one set of edges on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from pyspark import RDD, SparkContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from .algebra import OVERSAMPLING, Fit, drawn, eigen, largest, orthonormal, power, runs, uniform
from .order import KEPT

ITEMS_PER_BLOCK = 4096
"""Items of a block: the unit of sums, and the maximum number of items for which a task finds
neighbours."""
PEOPLE_PER_BLOCK = 1 << 20
"""Approximate number of user rows sent to a task that finds neighbours."""
ROWS_AT_ONCE = 128
"""Rows of an item-item product that are in memory at once."""
COMMON = 5_000
NEAREST = 64
LEAST_COSINE = np.float32(0.01)


class People(NamedTuple):
    """Rows of R with the numbers of their users, ascending."""

    users: np.ndarray
    rows: sp.csr_matrix


class Graph:
    """The matrix R, partitioned by users, and the degrees of items. Shape: (users, items)."""

    def __init__(self, context: SparkContext, edges: DataFrame, keys: np.ndarray, fit: Fit, partitions: int) -> None:
        self.context, self.items, self.keys, self.fit = context, len(keys), keys, fit
        of = edges.groupBy("user").agg(F.sort_array(F.collect_list("item")).alias("items"))
        ordered = of.repartitionByRange(partitions, "user").sortWithinPartitions("user")
        items = self.items

        def matrix(rows: Iterable) -> Iterator[People]:
            users, lengths, columns = [], [0], []
            for user, met in rows:
                users.append(user)
                lengths.append(len(met))
                columns.append(np.array(met, dtype=np.int32))
            indices = np.concatenate(columns) if columns else np.empty(0, dtype=np.int32)
            ones = np.ones(len(indices), dtype=np.float32)
            yield People(
                np.array(users, dtype=np.uint64), sp.csr_matrix((ones, indices, np.cumsum(lengths)), shape=(len(users), items))
            )

        self.parts: RDD[People] = ordered.rdd.mapPartitions(matrix, preservesPartitioning=True).persist(KEPT)
        self.degrees = self.sum(lambda r: np.bincount(r.rows.indices, minlength=items))

    def sum(self, of: Callable[[People], np.ndarray]) -> np.ndarray:
        """Returns the sum of a small array per partition, in the order of the partitions."""
        parts = self.parts.mapPartitionsWithIndex(lambda n, rs: [(n, of(r)) for r in rs]).collect()
        return added(parts)

    def sum_rows(self, of: Callable[[People], np.ndarray]) -> np.ndarray:
        """Returns the sum of arrays with a row per item.

        Executors add them up by blocks of items.
        """
        blocks = -(-self.items // ITEMS_PER_BLOCK)

        def split(number: int, rs: Iterable[People]) -> Iterator[tuple[int, tuple[int, np.ndarray]]]:
            for r in rs:
                whole = of(r)
                for block in range(blocks):
                    yield block, (number, whole[block * ITEMS_PER_BLOCK : (block + 1) * ITEMS_PER_BLOCK])

        def add(found: Iterable[tuple[int, tuple[int, np.ndarray]]]) -> Iterator[tuple[int, np.ndarray]]:
            parts: dict[int, list[tuple[int, np.ndarray]]] = {}
            for block, part in found:
                parts.setdefault(block, []).append(part)
            for block in sorted(parts):
                yield block, added(parts.pop(block))

        sent = self.parts.mapPartitionsWithIndex(split).partitionBy(blocks, lambda block: block)
        return np.concatenate([rows for _, rows in sorted(sent.mapPartitions(add).collect(), key=lambda b: b[0])])

    def normalised(self) -> Callable[[sp.csr_matrix], sp.csr_matrix]:
        """Returns a function from rows of R to those of R~."""
        fit, columns = self.fit, self.context.broadcast(power(self.degrees, self.fit.spectral_items))

        def scale(r: sp.csr_matrix) -> sp.csr_matrix:
            lengths = np.diff(r.indptr)
            values = np.repeat(power(lengths, fit.spectral_users), lengths) * columns.value[r.indices]
            return sp.csr_matrix((values, r.indices, r.indptr), shape=r.shape)

        return scale


def added(parts: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """Returns the sum in the order of the numbers, so that a repeated task changes nothing."""
    parts.sort(key=lambda p: p[0])
    total = parts[0][1].copy()
    for _, part in parts[1:]:
        total += part
    return total


def chunks(r: sp.csr_matrix, rows: int) -> Iterator[sp.csr_matrix]:
    for first in range(0, r.shape[0], rows):
        yield r[first : first + rows]


def spectrum(graph: Graph, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest singular values of R~ and their right vectors, (rank) and (items, rank),
    as `Spectrum::of` does."""
    items, fit = graph.items, graph.fit
    rank = fit.rank_for(items)
    width = min(rank + OVERSAMPLING, items, people)
    scale = graph.normalised()
    # Rows of R~ X computed at once: as many as X has, to bound memory.
    at_once = max(items, 1 << 14)
    if width == items:
        basis = np.eye(items, dtype=np.float32)
    elif width == people:
        whole = graph.parts.map(lambda r: scale(r.rows)).collect()
        basis = orthonormal(sp.vstack(whole).T.toarray().astype(np.float32))
    else:
        basis = uniform(graph.keys, width)
        for _ in range(fit.iterations):
            sent = graph.context.broadcast(basis)

            def image(r: People) -> np.ndarray:
                out = np.zeros((items, width), dtype=np.float32)
                for rows in chunks(scale(r.rows), at_once):
                    out += rows.T @ (rows @ sent.value)
                return out

            basis = orthonormal(graph.sum_rows(image))
            sent.destroy()
    sent = graph.context.broadcast(basis)

    def gram(r: People) -> np.ndarray:
        out = np.zeros((width, width), dtype=np.float32)
        for rows in chunks(scale(r.rows), at_once):
            y = rows @ sent.value
            out += y.T @ y
        return out.astype(np.float64)

    values, rotation = eigen(graph.sum(gram))
    sent.destroy()
    kept = min(rank, int((values > values[0] * 1e-9).argmin() or len(values)))
    vectors = basis @ rotation[:, :kept].astype(np.float32)
    return np.sqrt(np.maximum(values[:kept], 0)).astype(np.float32), vectors


def filtered(values: np.ndarray, vectors: np.ndarray, fit: Fit) -> np.ndarray:
    """Returns the vectors scaled by the square root of the spectral filter."""
    square = values * values
    top = max(square[0], np.finfo(np.float32).tiny) if len(square) else np.float32(1)
    relative = square / top
    return vectors * np.sqrt(relative / (relative + np.float32(fit.ridge)))


def item_blocks(degrees: np.ndarray, fit: Fit) -> np.ndarray:
    """Returns the block of each item.

    Items of similar popularity share a block. A block has fewer items where each samples many
    users.
    """
    order = np.argsort(-degrees, kind="stable")
    block, items, people = 0, 0, 0
    out = np.empty(len(degrees), dtype=np.int32)
    for item in order:
        asked = min(int(degrees[item]), fit.people_per_item)
        if items == ITEMS_PER_BLOCK or (items > 0 and people + asked > PEOPLE_PER_BLOCK):
            block, items, people = block + 1, 0, 0
        out[item] = block
        items, people = items + 1, people + asked
    return out


def part_of(most: int, of: np.ndarray) -> np.ndarray:
    return np.minimum(most / np.maximum(of, 1), 1.0)


def neighbours(graph: Graph, vectors: np.ndarray) -> RDD:
    """Returns rows (item, targets, weights) of the strongest neighbours, before scaling to a common
    unit.

    Same as `neighbours` in tools/builder/src/graph/fit.rs. Each block of items gets the whole rows
    of the users sampled for one of its items, so no pair of items is shuffled. The shuffled data is
    at most edges x blocks. An item samples at most `people_per_item` users.
    """
    fit, items = graph.fit, graph.items
    block_of = item_blocks(graph.degrees, fit)
    blocks = int(block_of.max(initial=0)) + 1
    sent = graph.context.broadcast((graph.keys, graph.degrees, block_of))
    wide = graph.context.broadcast(vectors)

    def told(users: np.ndarray, lengths: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns a mask of the edges that count in co-interactions: about `items_per_person` per
        user."""
        part = np.repeat(part_of(fit.items_per_person, lengths), lengths)
        return drawn(~sent.value[0][columns], np.repeat(users, lengths), part)

    def asked(users: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns a mask of those edges for which the item samples the user: about
        `people_per_item` per item."""
        keys, degrees, _ = sent.value
        return drawn(keys[columns], users, part_of(fit.people_per_item, degrees[columns]))

    def to_blocks(number: int, rs: Iterable[People]) -> Iterator[tuple[int, tuple]]:
        for users, r in rs:
            lengths = np.diff(r.indptr)
            counts = told(users, lengths, r.indices)
            row_of = np.repeat(np.arange(len(users)), lengths)[counts]
            columns = r.indices[counts]
            asks = asked(users[row_of], columns)
            # Each (block, user) pair once, by blocks.
            pairs = np.unique(sent.value[2][columns[asks]].astype(np.int64) * len(users) + row_of[asks])
            shorter = sp.csr_matrix((np.ones(len(columns), np.float32), columns, np.searchsorted(row_of, np.arange(len(users) + 1))), shape=r.shape)
            to, rows = np.divmod(pairs, max(len(users), 1))
            for run in runs(to):
                some = rows[run]
                part = shorter[some]
                yield int(to[run.start]), (number, users[some], lengths[some], np.diff(part.indptr), part.indices)

    def rows(found: Iterable[tuple[int, tuple]]) -> Iterator[tuple[int, list[int], list[float]]]:
        parts = sorted(found, key=lambda p: p[1][0])
        if not parts:
            return
        block = parts[0][0]
        users, full, lengths, columns = (np.concatenate([p[1][k] for p in parts]) for k in range(1, 5))
        del parts
        own = np.flatnonzero(sent.value[2] == block)
        place = np.full(items, -1, dtype=np.int32)
        place[own] = np.arange(len(own))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        row_of = np.repeat(np.arange(len(users)), lengths)
        here = np.flatnonzero(place[columns] >= 0)
        here = here[asked(users[row_of[here]], columns[here])]
        asks = sp.csc_matrix((np.ones(len(here), np.float32), (row_of[here], place[columns[here]])), shape=(len(users), len(own)))
        weights = np.repeat(power(full, fit.user_exponent), lengths)
        tells = sp.csr_matrix((weights, columns, starts), shape=(len(users), items))
        for first in range(0, len(own), ROWS_AT_ONCE):
            shared = (asks[:, first : first + ROWS_AT_ONCE].T.tocsr() @ tells).tocsr()
            for n, item in enumerate(own[first : first + ROWS_AT_ONCE]):
                at = slice(shared.indptr[n], shared.indptr[n + 1])
                yield strongest(int(item), shared.indices[at], shared.data[at])

    def strongest(item: int, others: np.ndarray, counts: np.ndarray) -> tuple[int, list[int], list[float]]:
        keys, degrees, _ = sent.value
        vectors = wide.value
        keep = others != item
        others, counts = others[keep], counts[keep]
        stands_for = np.float32(1 / part_of(fit.people_per_item, degrees[item]))
        met = counts * stands_for * power(degrees[others], fit.people_target_exponent)
        strong = largest(met, keys[others], fit.candidates)
        others, met = others[strong], met[strong]
        to_vectors = np.float32(fit.spectral_weight) * power(degrees[others], fit.spectral_target_exponent)
        source = power(degrees[item : item + 1], fit.source_exponent)[0]
        alike = np.maximum(vectors[others] @ vectors[item], 0)
        weights = (source * (met + alike * to_vectors)) ** np.float32(fit.sharpness)
        best = largest(weights, keys[others], fit.neighbours)
        others, weights = others[best], weights[best]
        length = max(np.sqrt((weights * weights).sum(dtype=np.float32)), np.finfo(np.float32).tiny)
        weights = weights * length ** np.float32(-fit.row_exponent)
        order = np.argsort(others)
        return item, others[order].tolist(), weights[order].tolist()

    return graph.parts.mapPartitionsWithIndex(to_blocks).partitionBy(blocks, lambda block: block).mapPartitions(rows)


def content_edges(context: SparkContext, content: sp.csr_matrix, keys: np.ndarray) -> RDD:
    """Returns rows (item, targets, weights) of the nearest items by content, in both directions.

    Same as `content_edges` in tools/builder/src/graph/alike.rs.
    """
    items = content.shape[0]
    if content.nnz == 0:
        return context.emptyRDD()
    rare = np.bincount(content.indices, minlength=content.shape[1]) <= COMMON
    limited = content @ sp.diags(rare.astype(np.float32), dtype=np.float32)
    limited.eliminate_zeros()
    sent = context.broadcast((limited.tocsr(), limited.T.tocsr(), keys))

    def pairs(first: int) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        rows, postings, keys = sent.value
        last = min(first + ROWS_AT_ONCE, items)
        cosines = (rows[first:last] @ postings).tocsr()
        found = []
        for item in range(first, last):
            at = slice(cosines.indptr[item - first], cosines.indptr[item - first + 1])
            others, values = cosines.indices[at], cosines.data[at]
            keep = (others != item) & (values >= LEAST_COSINE)
            others, values = others[keep], values[keep]
            best = largest(values, keys[others], NEAREST)
            found.append((np.full(len(best), item, dtype=np.int32), others[best], values[best]))
        of, to, values = (np.concatenate([f[k] for f in found]) for k in range(3))
        # Both directions.
        of, to, values = np.concatenate([of, to]), np.concatenate([to, of]), np.concatenate([values, values])
        block = of // ITEMS_PER_BLOCK
        order = np.argsort(block, kind="stable")
        for run in runs(block[order]):
            some = order[run]
            yield int(block[some[0]]), (of[some], to[some], values[some])

    def rows(found: Iterable[tuple[int, tuple]]) -> Iterator[tuple[int, list[int], list[float]]]:
        parts = [p for _, p in found]
        if not parts:
            return
        of, to, values = (np.concatenate([p[k] for p in parts]) for k in range(3))
        # Keep the larger weight if both directions differ by rounding.
        order = np.lexsort((-values, to, of))
        of, to, values = of[order], to[order], values[order]
        first = np.flatnonzero((np.diff(of, prepend=-1) != 0) | (np.diff(to, prepend=-1) != 0))
        of, to, values = of[first], to[first], values[first]
        for run in runs(of):
            yield int(of[run.start]), to[run].tolist(), values[run].tolist()

    starts = range(0, items, ROWS_AT_ONCE)
    blocks = -(-items // ITEMS_PER_BLOCK)
    tasks = min(len(starts), 8 * max(blocks, context.defaultParallelism))
    return context.parallelize(starts, tasks).flatMap(pairs).partitionBy(blocks, lambda block: block).mapPartitions(rows)
