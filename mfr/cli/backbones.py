"""``mfr backbones``."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from mfr.cli.console import print_json, print_table
from mfr.cli.options import AsJson


def backbones(as_json: AsJson = False) -> None:
    """List the networks: input and embedding size, parameters, multiply-adds of one face.

    Example: mfr backbones
    """
    from mfr.backbones import backbone_names, backbone_spec
    from mfr.backbones.cost import count_macs, count_parameters
    from mfr.backbones.unfilled import build_unfilled

    rows: list[dict[str, Any]] = []
    for name in backbone_names():
        spec = backbone_spec(name)
        height, width = spec.geometry.height, spec.geometry.width
        network = build_unfilled(name)
        rows.append(
            {
                "name": name,
                "height": height,
                "width": width,
                "embedding_size": spec.embedding_size,
                "parameters": count_parameters(network),
                "multiply_adds": count_macs(network, (3, height, width)),
            }
        )
    if as_json:
        print_json(rows)
        return
    table = Table("Name", "Input", "Embedding", "Parameters", "MFLOPs (multiply-adds)")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['height']} x {row['width']}",
            str(row["embedding_size"]),
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['multiply_adds'] / 1e6:.1f}",
        )
    print_table(table)
