"""The crops of a dataset embedded into Parquet, a shard at a time, here or on a cluster."""

from mfr.embedding_shards.embedding import Embedded, embed_dataset

__all__ = ["Embedded", "embed_dataset"]
