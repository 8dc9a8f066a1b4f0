"""python3 -m locket_spark --profiles reviews.jsonl.gz --out parts"""

from __future__ import annotations

import argparse
import json

from pyspark.sql import SparkSession

from .filters import Filters
from .job import build, from_edges, from_profiles


def main() -> None:
    p = argparse.ArgumentParser(prog="locket_spark", description="Pack parts on Apache Spark.")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--profiles", nargs="+", help="profile files: JSON lines, one person each")
    source.add_argument("--edges", help="who met what: one person a line, `user item item ...`")
    p.add_argument("--out", required=True, help="folder for the parts")
    p.add_argument("--partitions", type=int, default=4, help="partitions of people: one for each executor at a time")
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
        # On this machine; a cluster's own settings come with spark-submit.
        here = {
            "spark.driver.memory": "6g", "spark.driver.maxResultSize": "0", "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": str(2 * args.partitions),
        }
        builder = builder.master(args.master).config(map=here)
    spark = builder.getOrCreate()
    rows = from_profiles(spark, args.profiles) if args.profiles else from_edges(spark, args.edges)
    print(json.dumps(build(rows, args.out, keep, partitions=args.partitions)))
    spark.stop()


if __name__ == "__main__":
    main()
