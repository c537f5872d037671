"""``mfr embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfr.cli.console import counted, print_json, progress, say
from mfr.cli.options import AsJson, Backbone, Device, Ray, names_in


def embed(
    data: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory made by 'mfr data'.")],
    out: Annotated[
        Path, typer.Option(metavar="EMBEDDINGS", help="Directory of the Parquet files.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model file, or a name that 'mfr models' lists; dlib-resnet if not given.",
        ),
    ] = None,
    backbone: Backbone = None,
    domain: Annotated[
        str | None, typer.Option(metavar="A,B", help="Domains to embed; all if not given.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="A,B", help="Splits to embed; all if not given.")
    ] = None,
    ray: Ray = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Embed the crops of a dataset into Parquet files, of which 'mfr gallery import' reads each.

    The command can be stopped and run again at any time: files that are there are not made again.
    On a cluster, each file is a task of its own, and all nodes reach the dataset, the model and
    EMBEDDINGS by the same paths.

    Example: mfr embed DATASET --domain web --out embeddings
    """
    from mfr.embedding_shards import embed_dataset
    from mfr.models import DEFAULT

    make_all = None
    if ray is not None:
        from mfr.cluster import on_cluster
        from mfr.embedding_shards.shard import make

        make_all = on_cluster(ray, make)
    with progress("embedding") as report:
        done = embed_dataset(
            data,
            out,
            model=model or DEFAULT,
            backbone=backbone,
            domains=None if domain is None else names_in(domain, "--domain"),
            splits=None if split is None else names_in(split, "--split"),
            device=device,
            make_all=make_all,
            on_progress=lambda count, total: report(count, total, ""),
        )
    if as_json:
        print_json(done)
        return
    there = f", {done.already} of them before" if done.already else ""
    files = counted(done.files, "file")
    say(f"Embedded {counted(done.images, 'image')}{there}, in {files}: {out}.")
    if done.without_crop:
        say(f"Left out, as they have no crop: {counted(done.without_crop, 'image')}.")
