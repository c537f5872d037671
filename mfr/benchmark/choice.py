"""Which protocol a benchmark runs: one for any domain, the dataset's own, or a list of pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast, get_args

from mfr.benchmark.every_pair_report import benchmark_every_pair
from mfr.benchmark.groups import read_groups
from mfr.benchmark.open_set import benchmark_open_set
from mfr.benchmark.page import OPEN_SET
from mfr.benchmark.protocols import Protocol, benchmark_domain
from mfr.benchmark.report import Report
from mfr.benchmark.stored import benchmark_lfw, benchmark_protocol
from mfr.benchmark.verdicts import EVERY_PAIR
from mfr.data.protocol import read_protocol
from mfr.errors import ConfigError

Benchmark = Callable[..., list[Report]]
"""Judges an encoder: ``(encoder, manifest, *, seed, resamples, command, allow_seen, name)`` -> a
report for each domain. Arguments and errors are those of
`mfr.benchmark.protocols.benchmark_domain`."""


_ALONE: dict[str, Callable[..., Report]] = {
    OPEN_SET: benchmark_open_set,
    EVERY_PAIR: benchmark_every_pair,
}
"""Protocols that fit any domain and judge one model at a time."""
_LISTED = ", ".join(get_args(Protocol))


def choose_protocol(
    protocol: str,
    domains: Sequence[str],
    *,
    pairs: str | Path | None = None,
    split: str = "test",
    gap_from: Sequence[str] = (),
    groups: str | None = None,
) -> Benchmark:
    """The benchmark that was asked for; nothing is read until it is called.

    Args:
        protocol: 'gallery-probe', 'all-pairs', 'templates', 'open-set' or 'every-pair', or the name
            of a protocol of the dataset.
        domains: what to judge; a dataset's own protocol knows its domains.
        pairs: a list of pairs, with the protocol 'lfw'.
        split: whose people, for protocols that fit any domain.
        gap_from: domains on which a threshold is set to be tried here, for the same protocols.

        groups: as `mfr.benchmark.groups.read_groups` takes it, for the same protocols.

    Raises:
        ConfigError: these do not go together.
    """
    for option, given in (("--gap-from", gap_from), ("--groups", groups)):
        if given and (pairs is not None or protocol not in get_args(Protocol)):
            raise ConfigError(f"{option} goes with the protocols {_LISTED}: leave it out.")
    if pairs is not None:
        if protocol != "lfw":
            raise ConfigError("A list of pairs goes with the protocol lfw: add --protocol lfw.")
        if len(domains) > 1:
            raise ConfigError("The protocol lfw judges one domain: give one name to --domain.")
        domain = domains[0] if domains else "lfw"
        return lambda encoder, manifest, **options: [
            benchmark_lfw(encoder, manifest, pairs, domain=domain, **options)
        ]
    if protocol in get_args(Protocol):
        if not domains:
            raise ConfigError("Say which domain to judge: pass --domain NAME.")
        kind = cast(Protocol, protocol)
        return lambda encoder, manifest, **options: [
            benchmark_domain(
                encoder,
                manifest,
                domain,
                split=split,
                protocol=kind,
                gap_from=[one for one in gap_from if one != domain],
                groups=None if groups is None else read_groups(groups, manifest),
                **options,
            )
            for domain in domains
        ]
    if protocol in _ALONE:
        if not domains:
            raise ConfigError("Say which domain to judge: pass --domain NAME.")
        judge = _ALONE[protocol]
        return lambda encoder, manifest, **options: [
            judge(encoder, manifest, domain, split=split, **options) for domain in domains
        ]
    if domains:
        raise ConfigError(
            f"--domain goes with the protocols {', '.join([_LISTED, *_ALONE])}, and "
            f"'{protocol}' is none of them: leave --domain out if it is a protocol of the dataset, "
            "which knows its domains."
        )
    return lambda encoder, manifest, **options: [
        benchmark_protocol(encoder, manifest, read_protocol(manifest.root, protocol), **options)
    ]


def joint_protocol(protocol: str, *, models: int, domains: int) -> Protocol | None:
    """The protocol of an overview of several models or domains; None where there is one of each.

    Raises:
        ConfigError: several models by a protocol of the dataset.
    """
    if models == 1 and (domains <= 1 or protocol in _ALONE):
        return None
    if protocol not in get_args(Protocol):
        raise ConfigError(
            f"Several models are compared by the protocols {_LISTED}: judge one at a time by "
            f"'{protocol}'."
        )
    return cast(Protocol, protocol)
