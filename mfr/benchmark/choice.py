"""Which protocol a benchmark runs: one that fits any domain, the dataset's own, or a list of pairs.

`choose_protocol` checks what was asked for before anything is read; what it returns then judges
encoders on a manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from mfr.benchmark.protocols import Protocol, benchmark_domain
from mfr.benchmark.stored import benchmark_lfw, benchmark_protocol
from mfr.data.protocol import read_protocol
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.benchmark.report import Report
    from mfr.data.manifest import Manifest
    from mfr.encoder import Encoder


@dataclass(frozen=True)
class AnyDomain:
    """A protocol that fits any domain, on each of some domains; a report for each."""

    protocol: Protocol
    domains: Sequence[str]
    split: str

    def run(
        self,
        encoder: Encoder,
        manifest: Manifest,
        *,
        seed: int = 0,
        resamples: int = 1000,
        command: str = "",
    ) -> list[Report]:
        """Judge; arguments and errors as `mfr.benchmark.protocols.benchmark_domain`."""
        return [
            benchmark_domain(
                encoder,
                manifest,
                domain,
                split=self.split,
                protocol=self.protocol,
                seed=seed,
                resamples=resamples,
                command=command,
            )
            for domain in self.domains
        ]


@dataclass(frozen=True)
class Stored:
    """A protocol that the dataset was imported with."""

    name: str

    def run(
        self,
        encoder: Encoder,
        manifest: Manifest,
        *,
        seed: int = 0,
        resamples: int = 1000,
        command: str = "",
    ) -> list[Report]:
        """Judge; arguments and errors as `mfr.benchmark.stored.benchmark_protocol`."""
        protocol = read_protocol(manifest.root, self.name)
        return [
            benchmark_protocol(
                encoder, manifest, protocol, seed=seed, resamples=resamples, command=command
            )
        ]


@dataclass(frozen=True)
class ListedPairs:
    """A list of pairs such as LFW's, on the images of one domain."""

    pairs: Path
    domain: str

    def run(
        self,
        encoder: Encoder,
        manifest: Manifest,
        *,
        seed: int = 0,
        resamples: int = 1000,
        command: str = "",
    ) -> list[Report]:
        """Judge; arguments and errors as `mfr.benchmark.stored.benchmark_lfw`."""
        return [
            benchmark_lfw(
                encoder,
                manifest,
                self.pairs,
                domain=self.domain,
                seed=seed,
                resamples=resamples,
                command=command,
            )
        ]


Choice = AnyDomain | Stored | ListedPairs


def choose_protocol(
    protocol: str, domains: Sequence[str], *, pairs: str | Path | None = None, split: str = "test"
) -> Choice:
    """Choose what to run.

    Args:
        protocol: 'gallery-probe' or 'all-pairs', or the name of a protocol of the dataset.
        domains: what to judge; a dataset's own protocol knows its domains.
        pairs: a list of pairs, with the protocol 'lfw'.
        split: whose people, for protocols that fit any domain.

    Raises:
        ConfigError: these do not go together.
    """
    fits_any = protocol in get_args(Protocol)
    if pairs is not None:
        if protocol != "lfw":
            raise ConfigError("A list of pairs goes with the protocol lfw: add --protocol lfw.")
        if len(domains) > 1:
            raise ConfigError("The protocol lfw judges one domain: give one name to --domain.")
        return ListedPairs(Path(pairs), domains[0] if domains else "lfw")
    if fits_any:
        if not domains:
            raise ConfigError("Say which domain to judge: pass --domain NAME.")
        return AnyDomain(cast(Protocol, protocol), domains, split)
    if domains:
        raise ConfigError(f"The protocol {protocol} knows its domains: leave --domain out.")
    return Stored(protocol)
