"""python3 -m locket_spark --profiles reviews.jsonl.gz --out parts"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys

from pyspark.sql import SparkSession

# Absolute import, since spark-submit runs this file as a script.
from locket_spark import Filters, build, from_edges, from_interactions, from_profiles


def main() -> None:
    p = argparse.ArgumentParser(prog="locket_spark", description="Pack parts on Apache Spark.")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--profiles", nargs="+", help="profile files: JSON lines, one person each")
    source.add_argument("--edges", help="who met what: one person a line, `user item item ...`")
    source.add_argument("--interactions", help="a table, one interaction a row: Parquet, or JSON lines where the name ends so")
    p.add_argument("--out", required=True, help="folder for the parts")
    p.add_argument("--partitions", type=int, default=4, help="partitions of people: one for about ten million interactions")
    p.add_argument("--master", help="for example local[2]; default: as spark-submit says")
    p.add_argument("--remove", metavar="FILE", help="leave out everything of these people: their ids, one a line")
    p.add_argument("--category", action="append", default=[], help="leave out all items but those of this category; may be repeated")
    p.add_argument("--people-per-item", type=int, default=1, metavar="N", help="leave out items that fewer people met")
    p.add_argument("--authors-per-item", type=int, default=1, metavar="N", help="leave out texts of items that fewer people wrote about")
    p.add_argument("--texts-per-author", type=int, metavar="N", help="leave out texts beyond the latest N of one author")
    p.add_argument("--texts-per-item", type=int, metavar="N", help="leave out texts beyond N of one item: short, late ones that differ stay")
    args = p.parse_args()
    removed = open(args.remove, encoding="utf-8").read().split("\n") if args.remove else []
    keep = Filters(
        removed=frozenset(line.strip() for line in removed if line.strip()), categories=frozenset(args.category),
        people_per_item=args.people_per_item, authors_per_item=args.authors_per_item,
        texts_per_author=args.texts_per_author, texts_per_item=args.texts_per_item,
    )
    builder = SparkSession.builder.appName("locket pack")
    if args.master:
        # Settings for a local master. On a cluster, spark-submit provides the settings and this
        # package.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(pathlib.Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        here = {
            "spark.executorEnv.PYTHONPATH": os.environ["PYTHONPATH"],
            "spark.driver.memory": "6g", "spark.driver.maxResultSize": "0", "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": str(2 * args.partitions), "spark.sql.adaptive.enabled": "false",
        }
        builder = builder.master(args.master).config(map=here)
    spark = builder.getOrCreate()
    if args.profiles:
        rows = from_profiles(spark, args.profiles)
    elif args.edges:
        rows = from_edges(spark, args.edges)
    else:
        rows = from_interactions(spark, args.interactions)
    print(json.dumps(build(rows, args.out, keep, partitions=args.partitions)))
    spark.stop()


if __name__ == "__main__":
    main()
