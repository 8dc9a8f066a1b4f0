"""Fitting on a cluster: the spectrum, item neighbours and content edges of one set of edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import scipy.sparse as sp
from pyspark import RDD, SparkContext
from pyspark.sql import DataFrame

from .algebra import OVERSAMPLING, Fit, eigen, largest, orthonormal, power, row_major, uniform

ITEMS_PER_BLOCK = 4096
"""Items of a block: what a task works on at once, and what is summed at once."""
COMMON = 5_000
NEAREST = 64
LEAST_COSINE = np.float32(0.01)


class Graph:
    """R, partitioned by people, and the degrees of items. Shape: (people, items)."""

    def __init__(self, context: SparkContext, edges: DataFrame, items: int, partitions: int) -> None:
        self.context, self.items = context, items
        pairs = edges.select("user", "item").repartitionByRange(partitions, "user").sortWithinPartitions("user", "item")

        def matrix(rows: Iterable[tuple[int, int]]) -> Iterator[sp.csr_matrix]:
            both = np.array([(r[0], r[1]) for r in rows], dtype=np.int64).reshape(-1, 2)
            yield row_major(both[:, 0], both[:, 1], items)

        self.parts: RDD[sp.csr_matrix] = pairs.rdd.mapPartitions(matrix, preservesPartitioning=True).cache()
        self.degrees = self.sum(lambda r: np.asarray(r.sum(axis=0), dtype=np.float64).ravel()).astype(np.int64)

    def sum(self, of) -> np.ndarray:
        """The sum over partitions of an array of each, in their order."""
        parts = self.parts.mapPartitionsWithIndex(lambda n, rs: [(n, of(r)) for r in rs]).collect()
        parts.sort(key=lambda p: p[0])
        total = parts[0][1].copy()
        for _, part in parts[1:]:
            total += part
        return total

    def normalised(self, fit: Fit):
        """A function from a partition's R to its R~."""
        columns = self.context.broadcast(power(self.degrees, fit.spectral_items))

        def scale(r: sp.csr_matrix) -> sp.csr_matrix:
            rows = power(np.diff(r.indptr), fit.spectral_users)
            scaled = r.copy()
            scaled.data = np.repeat(rows, np.diff(r.indptr)) * columns.value[r.indices]
            return scaled

        return scale


def spectrum(graph: Graph, keys: np.ndarray, fit: Fit, people: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest singular values of R~ and their right vectors, (rank) and (items, rank): `Spectrum::of`."""
    items, rank = graph.items, fit.rank_for(graph.items)
    width = min(rank + OVERSAMPLING, items, people)
    scale = graph.normalised(fit)
    if width == items:
        basis = np.eye(items, dtype=np.float32)
    elif width == people:
        whole = graph.parts.map(scale).collect()
        basis = orthonormal(sp.vstack(whole).T.toarray().astype(np.float32))
    else:
        basis = uniform(keys, width)
        for _ in range(fit.iterations):
            sent = graph.context.broadcast(basis)

            def image(r: sp.csr_matrix) -> np.ndarray:
                scaled = scale(r)
                return (scaled.T.tocsr() @ (scaled @ sent.value)).astype(np.float32)

            basis = orthonormal(graph.sum(image))
            sent.destroy()
    sent = graph.context.broadcast(basis)

    def gram(r: sp.csr_matrix) -> np.ndarray:
        y = scale(r) @ sent.value
        return (y.T @ y).astype(np.float64)

    values, rotation = eigen(graph.sum(gram))
    sent.destroy()
    kept = min(rank, int((values > values[0] * 1e-9).argmin() or len(values)))
    vectors = basis @ rotation[:, :kept].astype(np.float32)
    return np.sqrt(np.maximum(values[:kept], 0)).astype(np.float32), vectors


def filtered(values: np.ndarray, vectors: np.ndarray, fit: Fit) -> np.ndarray:
    """The vectors with half of the spectral filter on them."""
    square = values * values
    top = max(square[0], np.finfo(np.float32).tiny) if len(square) else np.float32(1)
    relative = square / top
    return vectors * np.sqrt(relative / (relative + np.float32(fit.ridge)))


def neighbours(graph: Graph, vectors: np.ndarray, keys: np.ndarray, fit: Fit) -> RDD:
    """Rows (item, targets, weights) of the strongest neighbours, before the common unit: `neighbours` in core/src/graph/fit.rs.

    Each block of items gets the whole rows of those people who met one of them, so that no pair is ever shuffled: what
    travels is at most edges x blocks, not the sum of squared degrees.
    """
    items = graph.items
    blocks = -(-items // ITEMS_PER_BLOCK)

    def to_blocks(number: int, rs: Iterable[sp.csr_matrix]) -> Iterator[tuple[int, tuple[int, bytes, bytes, bytes]]]:
        for r in rs:
            row_of = np.repeat(np.arange(r.shape[0]), np.diff(r.indptr))
            block_of = r.indices // ITEMS_PER_BLOCK
            for block in np.unique(block_of):
                part = r[np.unique(row_of[block_of == block])]
                yield int(block), (number, part.indptr.astype(np.int64).tobytes(), part.indices.astype(np.int32).tobytes())

    sent = graph.context.broadcast((vectors, keys, graph.degrees))

    def rows(block: tuple[int, Iterable]) -> Iterator[tuple[int, list[int], list[float]]]:
        number, parts = block
        vectors, keys, degrees = sent.value
        first, last = number * ITEMS_PER_BLOCK, min((number + 1) * ITEMS_PER_BLOCK, items)
        matrices = []
        for _, indptr, indices in sorted(parts, key=lambda p: p[0]):
            indptr, indices = np.frombuffer(indptr, dtype=np.int64), np.frombuffer(indices, dtype=np.int32)
            ones = np.ones(len(indices), dtype=np.float32)
            matrices.append(sp.csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, items)))
        r = sp.vstack(matrices, format="csr")
        weight = sp.diags(power(np.diff(r.indptr), fit.user_exponent), dtype=np.float32)
        shared = (r[:, first:last].T.tocsr() @ weight @ r).tocsr()
        to_people = power(degrees, fit.people_target_exponent)
        to_vectors = np.float32(fit.spectral_weight) * power(degrees, fit.spectral_target_exponent)
        source = power(degrees, fit.source_exponent)
        tiny = np.finfo(np.float32).tiny
        for item in range(first, last):
            at = slice(shared.indptr[item - first], shared.indptr[item - first + 1])
            others, counts = shared.indices[at], shared.data[at]
            keep = others != item
            others, counts = others[keep], counts[keep]
            alike = np.maximum(vectors[others] @ vectors[item], 0)
            weights = (source[item] * (counts * to_people[others] + alike * to_vectors[others])) ** np.float32(fit.sharpness)
            best = largest(weights, keys[others], fit.neighbours)
            others, weights = others[best], weights[best]
            length = max(np.sqrt((weights * weights).sum(dtype=np.float32)), tiny)
            weights = weights * length ** np.float32(-fit.row_exponent)
            order = np.argsort(others)
            yield item, others[order].tolist(), weights[order].tolist()

    return graph.parts.mapPartitionsWithIndex(to_blocks).groupByKey(blocks).flatMap(rows)


def content_edges(context: SparkContext, content: sp.csr_matrix, keys: np.ndarray) -> RDD:
    """Rows (item, targets, weights) of the nearest items by content, both ways: `content_edges` in core/src/graph/alike.rs."""
    items = content.shape[0]
    rare = np.diff(content.tocsc().indptr) <= COMMON
    limited = content @ sp.diags(rare.astype(np.float32), dtype=np.float32)
    limited.eliminate_zeros()
    sent = context.broadcast((limited.tocsr(), limited.T.tocsr(), keys))

    def pairs(first: int) -> Iterator[tuple[int, tuple[int, float]]]:
        rows, postings, keys = sent.value
        last = min(first + ITEMS_PER_BLOCK // 8, items)
        cosines = (rows[first:last] @ postings).tocsr()
        for item in range(first, last):
            at = slice(cosines.indptr[item - first], cosines.indptr[item - first + 1])
            others, values = cosines.indices[at], cosines.data[at]
            keep = (others != item) & (values >= LEAST_COSINE)
            others, values = others[keep], values[keep]
            for n in largest(values, keys[others], NEAREST):
                yield item, (int(others[n]), float(values[n]))
                yield int(others[n]), (item, float(values[n]))

    def row(found: tuple[int, Iterable[tuple[int, float]]]) -> tuple[int, list[int], list[float]]:
        item, edges = found
        best: dict[int, float] = {}
        for other, value in edges:
            best[other] = max(value, best.get(other, 0.0))
        targets = sorted(best)
        return item, targets, [best[t] for t in targets]

    starts = range(0, items, ITEMS_PER_BLOCK // 8)
    return context.parallelize(starts, max(len(starts), 1)).flatMap(pairs).groupByKey().map(row)
