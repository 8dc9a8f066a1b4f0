#!/usr/bin/env python3
"""Compares link prediction with its peers on Gowalla: quality, wall time and peak memory.

Each method runs in its own process.

    python3 -m venv V && V/bin/pip install -r tests/bench/requirements.txt
    V/bin/python3 tests/bench/graph.py --data ../shared/data/gowalla --out runs            the table
    V/bin/python3 tests/bench/graph.py --data ../shared/data/gowalla --out runs --sweep    settings on a validation cut
    V/bin/python3 tests/bench/graph.py --out runs --scale                                  cost by size of the catalogue

The peers' settings are chosen on a validation cut of the training edges (a fifth of each user's
edges), as Locket's are. The PyTorch LightGCN is timed for a few epochs and extrapolated to the
1,000 epochs of its authors. Its quality is that of the epochs that ran.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKET = ROOT / "target/debug/locket"
K = 20
OURS = ["popularity", "linear", "low-pass", "gf-cf", "sharpened", "locket"]
# Each entry changes the default in one setting.
SWEEP = """rank=0 dimension=0|rank=256|rank=512|rank=768|rank=1536|iterations=3|neighbours=20|neighbours=50|neighbours=200|
sharpness=1|sharpness=1.4|sharpness=2|row_exponent=0|row_exponent=0.4|row_exponent=1|spectral_weight=0|spectral_weight=2|
spectral_weight=6|ridge=0|ridge=0.2|user_exponent=0.3|user_exponent=0.7|user_exponent=1|spectral_users=0.2|spectral_users=0.4|
spectral_users=0.5|spectral_items=0.3|spectral_items=0.5|source_exponent=0.4|source_exponent=0.8|people_target_exponent=0.2|
people_target_exponent=0.6|spectral_target_exponent=-0.2|spectral_target_exponent=-0.5"""
ALS = [dict(factors=f, regularization=r, alpha=a) for f, r, a in [(128, 30, 40), (256, 30, 40), (256, 100, 100)]]
BPR = [dict(factors=f, learning_rate=r, regularization=d, iterations=300) for f, r, d in [(64, 0.05, 0.001), (128, 0.1, 0.001), (64, 0.02, 0.01)]]


def read(path):
    import io

    import zstandard

    edges = {}
    with open(path, "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file)):
            user, *items = map(int, line.split())
            edges[user] = sorted(set(items))
    return edges


def load(data, cut):
    """Returns the training matrix and the test items.

    With `cut`, the test items are a fifth of each user's training edges.
    """
    import numpy as np
    import scipy.sparse as sp

    train, test = read(data / "train.txt.zst"), read(data / "test.txt.zst")
    items = 1 + max(i for edges in (train, test) for row in edges.values() for i in row)
    if cut:
        draw, test = np.random.default_rng(1), {}
        for user, row in train.items():
            order = draw.permutation(row).tolist()
            held = round(len(row) / 5)
            test[user], train[user] = set(order[:held]), order[held:]
    users = 1 + max(max(train), max(test))
    rows = [u for u, row in train.items() for _ in row]
    columns = [i for row in train.values() for i in row]
    matrix = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(users, items))
    return matrix, {u: set(row) for u, row in test.items() if row}


def judge(matrix, test, user_vectors, item_vectors):
    """Returns recall@20 and NDCG@20 over all items except those in the training file."""
    import numpy as np

    gain = 1 / np.log2(np.arange(K) + 2)
    users = np.array(sorted(test))
    recall, ndcg = [], []
    for start in range(0, len(users), 1024):
        block = users[start : start + 1024]
        scores = user_vectors[block] @ item_vectors.T
        scores[matrix[block].nonzero()] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        for user, row in zip(block, best):
            hits = np.array([i in test[user] for i in row])
            recall.append(hits.sum() / len(test[user]))
            ndcg.append((hits * gain).sum() / gain[: min(K, len(test[user]))].sum())
    return float(np.mean(recall)), float(np.mean(ndcg))


def implicit_model(name, settings):
    import implicit

    common = dict(random_state=1, num_threads=2, **settings)
    if name == "als":
        return implicit.als.AlternatingLeastSquares(iterations=15, **common)
    return implicit.bpr.BayesianPersonalizedRanking(verify_negative_samples=True, **common)


def run_implicit(name, data):
    """Returns the results of the best settings of a small grid, chosen on the cut and fitted to all
    training edges."""
    found = []
    matrix, test = load(data, cut=True)
    for settings in ALS if name == "als" else BPR:
        model = implicit_model(name, settings)
        model.fit(matrix, show_progress=False)
        found.append((judge(matrix, test, model.user_factors, model.item_factors), settings))
        print(name, settings, found[-1][0], file=sys.stderr, flush=True)
    settings = max(found, key=lambda f: f[0][1])[1]
    matrix, test = load(data, cut=False)
    started = time.time()
    model = implicit_model(name, settings)
    model.fit(matrix, show_progress=False)
    fit = time.time() - started
    recall, ndcg = judge(matrix, test, model.user_factors, model.item_factors)
    grid = [{**s, "recall": r, "ndcg": n} for (r, n), s in found]
    return dict(recall=recall, ndcg=ndcg, fit_seconds=fit, seconds=time.time() - started, settings=settings, grid=grid)


def run_lightgcn(data, epochs):
    """Fits LightGCN (He et al., SIGIR 2020): 3 layers, 64 dimensions, BPR, batches of 2,048, Adam
    at 0.001, decay 0.0001."""
    import numpy as np
    import scipy.sparse as sp
    import torch

    torch.manual_seed(1)
    torch.set_num_threads(2)
    matrix, test = load(data, cut=False)
    users, items = matrix.shape
    started = time.time()
    scale = lambda axis: sp.diags(1 / np.sqrt(np.maximum(1, np.asarray(matrix.sum(axis)).ravel())))
    norm = (scale(1) @ matrix @ scale(0)).tocsr()
    both = sp.bmat([[None, norm], [norm.T, None]]).tocsr().astype(np.float32)
    graph = torch.sparse_csr_tensor(torch.tensor(both.indptr), torch.tensor(both.indices), torch.tensor(both.data), both.shape)

    # The matrix is symmetric, so the gradient of a propagation is the same propagation.
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return graph @ x

        @staticmethod
        def backward(_, gradient):
            return graph @ gradient

    table = torch.nn.Parameter(torch.randn(users + items, 64) * 0.1)
    optimizer = torch.optim.Adam([table], lr=0.001)

    def embed():
        layers = [table]
        for _ in range(3):
            layers.append(Step.apply(layers[-1]))
        return torch.stack(layers).mean(0)

    edges = matrix.tocoo()
    who, what = torch.tensor(edges.row, dtype=torch.long), torch.tensor(edges.col, dtype=torch.long)
    for epoch in range(epochs):
        order = torch.randperm(len(who))
        for at in range(0, len(order), 2048):
            batch = order[at : at + 2048]
            u, good, bad = who[batch], users + what[batch], users + torch.randint(items, (len(batch),))
            out = embed()
            loss = torch.nn.functional.softplus((out[u] * (out[bad] - out[good])).sum(1)).mean()
            norms = sum(table[n].pow(2).sum() for n in (u, good, bad)) / len(batch) / 2
            optimizer.zero_grad()
            (loss + 1e-4 * norms).backward()
            optimizer.step()
        print(f"lightgcn epoch {epoch + 1}: {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    fit = time.time() - started
    with torch.no_grad():
        out = embed().numpy()
    recall, ndcg = judge(matrix, test, out[:users], out[users:])
    return dict(recall=recall, ndcg=ndcg, fit_seconds=fit, epochs=epochs, extrapolated_hours=fit / epochs * 1000 / 3600)


def locket(*arguments):
    run = subprocess.run([LOCKET, *map(str, arguments), "--json"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return json.loads(run.stdout)


def child(arguments, out, name):
    """Runs a peer in its own process, to measure its peak memory separately."""
    command = [sys.executable, __file__, "--data", arguments.data, "--out", out, "--peer", name, "--epochs", arguments.epochs]
    run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout) if run.returncode == 0 else None


def table(arguments, out):
    rows = {}
    for name in OURS:
        rows[name] = locket("eval", "graph", "--train", arguments.data / "train.txt.zst", "--test", arguments.data / "test.txt.zst", "--method", name)
        print(name, rows[name], file=sys.stderr, flush=True)
    for name in ("als", "bpr", "lightgcn"):
        rows[name] = child(arguments, out, name)
        print(name, rows[name], file=sys.stderr, flush=True)
    (out / "graph.json").write_text(json.dumps(rows, indent=1))
    print("| method | recall@20 | NDCG@20 | fit, s | fit and rank, s | peak memory, MB |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        if row:
            whole = f"{row['seconds']:.0f}" if "seconds" in row else f"{row['epochs']} epochs; 1,000: {row['extrapolated_hours']:.0f} h"
            print(f"| {name} | {row['recall']:.4f} | {row['ndcg']:.4f} | {row['fit_seconds']:.1f} | {whole} | {row['peak_rss_bytes'] / 1e6:.0f} |")


def sweep(arguments, out):
    train = arguments.data / "train.txt.zst"
    print("| setting | recall@20 | NDCG@20 | s |\n|---|---|---|---|")
    for change in ["", *SWEEP.replace("\n", "").split("|")]:
        settings = [word for pair in change.split() for word in ("--set", pair)]
        row = locket("eval", "graph", "--train", train, "--validate", "0.2", *settings)
        print(f"| {change or 'default'} | {row['recall']:.4f} | {row['ndcg']:.4f} | {row['seconds']:.0f} |", flush=True)


def scale(arguments, out):
    """Measures the median time of a fold-in with a top 10 on one core, resident memory and pack
    size, by number of items."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "locket"
    import matplotlib.pyplot as plt

    sizes = [1_000, 10_000, 100_000, 1_000_000]
    rows = []
    for items in sizes:
        pack = out / f"scale-{items}.pack"
        built = locket("eval", "scale", "--items", items, "--out", pack, "--set", "rank=64")
        asked = locket("eval", "scale", "--pack", pack)
        rows.append({**built, **asked, "build_seconds": built["seconds"]})
        pack.unlink()
        print(rows[-1], file=sys.stderr, flush=True)
    (out / "scale.json").write_text(json.dumps(rows, indent=1))
    print("| items | median, ms | 95th percentile, ms | resident, MB | pack, MB | build, s |\n|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['items']:,} | {r['median_ms']:.3f} | {r['p95_ms']:.3f} | {r['peak_rss_bytes'] / 1e6:.0f} | {r['pack_bytes'] / 1e6:.1f} | {r['build_seconds']:.0f} |")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.loglog(sizes, [r["median_ms"] for r in rows], "o-", color="#2b6cb0", label="median")
    left.loglog(sizes, [r["p95_ms"] for r in rows], "o--", color="#90cdf4", label="95th percentile")
    left.set(title="fold-in of 5 items and top 10, one core", xlabel="items in the catalogue", ylabel="milliseconds")
    right.loglog(sizes, [r["peak_rss_bytes"] / 1e6 for r in rows], "o-", color="#c05621", label="peak resident")
    right.loglog(sizes, [r["pack_bytes"] / 1e6 for r in rows], "o--", color="#fbd38d", label="pack file")
    right.set(title="memory", xlabel="items in the catalogue", ylabel="megabytes")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(out / "graph-cost.svg", metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with train.txt.zst and test.txt.zst")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the PyTorch LightGCN (default 3)")
    parser.add_argument("--sweep", action="store_true", help="our settings, one changed at a time, on a validation cut")
    parser.add_argument("--scale", action="store_true", help="cost by size of the catalogue, with a plot")
    parser.add_argument("--peer", choices=["als", "bpr", "lightgcn"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.scale:
        return scale(arguments, arguments.out)
    if not arguments.data:
        parser.error("--data is needed")
    if arguments.sweep:
        return sweep(arguments, arguments.out)
    if arguments.peer:
        os.environ["OPENBLAS_NUM_THREADS"] = "1" if arguments.peer != "lightgcn" else "2"
        found = run_lightgcn(arguments.data, arguments.epochs) if arguments.peer == "lightgcn" else run_implicit(arguments.peer, arguments.data)
        found["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return print(json.dumps(found))
    table(arguments, arguments.out)


if __name__ == "__main__":
    main()
