"""The commands of ``mfr gallery`` about keys and about the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson, GalleryPath


def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key goes; a new file.")],
) -> None:
    """Make a key for encrypted galleries: 32 random bytes in hexadecimal, for you alone to read.

    A gallery that is made while a key is named is encrypted from the start. Keep a copy of the key
    elsewhere: without it nobody can read the gallery.

    Example: mfr gallery new-key gallery.key
    """
    from mfr.sealing.master_key import write_new_key

    write_new_key(file)
    say(f"{file} holds a new key. Keep a copy elsewhere: without it the gallery cannot be read.")


def expire(
    path: GalleryPath,
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Such as 90d, 12w, 6m (30 days each) or 2y.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say who would be erased.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase the people of whom no photo was enrolled for so long, as 'remove' does.

    Example: mfr gallery expire GALLERY --older-than 365d
    """
    from dataclasses import asdict

    from mfr.gallery import Gallery, retention

    time = retention.age(older_than)
    with Gallery.open(path) as gallery:
        find = retention.expired if dry_run else retention.expire
        found = list(find(gallery, time))
    if as_json:
        print_json({"erased": not dry_run, "people": [asdict(each) for each in found]})
        return
    table = Table("Identity", "Last enrolled", "Templates")
    for each in found:
        table.add_row(Text(each.identity), each.last_enrolled, str(each.templates))
    if found:
        print_table(table)
    people = "1 person" if len(found) == 1 else f"{len(found)} people"
    say(f"Erased {people}." if not dry_run else f"{people} would be erased.")


def encrypt(path: GalleryPath) -> None:
    """Encrypt a gallery with the key that --key-file or --key-command names.

    Templates, crops, names and all that is noted of people are sealed with AES-256-GCM, and nothing
    of what was readable is left in the gallery's files. Copies and backups made before stay
    readable.

    Example: mfr --key-file gallery.key gallery encrypt GALLERY
    """
    from mfr.gallery.encrypting import encrypt as encrypt_gallery

    encrypt_gallery(path)
    say(f"{path} is encrypted. Backups that were made before are not: remove them.")


def change_key(
    path: GalleryPath,
    new: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="The file with the new key, of 'new-key'.")
    ],
) -> None:
    """Let an encrypted gallery be opened with another key instead of the present one.

    Templates are not rewritten: they are sealed with a key of the gallery's own, which is wrapped
    anew. Backups that were made before still open with the former key.

    Example: mfr --key-file old.key gallery change-key GALLERY --to new.key
    """
    from mfr.gallery.encrypting import change_key as change

    change(path, new)
    say(f"{path} opens with the key in {new} from now on.")


def audit(
    path: GalleryPath,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the chain, and print its last hash.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="Write all entries, one a line, into this file."),
    ] = None,
    decisions: Annotated[
        bool | None,
        typer.Option(
            "--decisions/--no-decisions",
            help="From now on log verifications and identifications too, or no longer.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[int, typer.Option(help="How many of the last entries to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List who did what in a gallery, and when (UTC).

    An entry has no name, template or photo: of a person it has the number that 'mfr gallery people'
    lists, so it stays when the person is removed. Each entry is chained to the one before it by a
    hash; with --verify, an entry that was changed, taken out or put in is found. Note the last hash
    elsewhere: it tells whether the end was cut off.

    Who works with a gallery is the account that runs the program, or whom the environment's
    MFR_ACTOR names.

    Example: mfr gallery audit GALLERY --verify
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        log = gallery.audit_log
        if decisions is not None:
            log.holds_decisions = decisions
        head = log.verify() if verify else None
        if export is not None:
            log.export(export)
        entries = log.entries()
    shown = entries[len(entries) - min(last, len(entries)) :]
    if as_json:
        print_json({"entries": len(entries), "last_hash": head, "shown": shown})
        return
    table = Table("", "At", "Actor", "Event", "Person", "Facts")
    for entry in shown:
        facts = ", ".join(f"{name} {value}" for name, value in entry.facts.items())
        person = "" if entry.person is None else str(entry.person)
        table.add_row(
            str(entry.number), entry.at, Text(entry.actor), entry.event, person, Text(facts)
        )
    print_table(table)
    if head is not None:
        say(f"The chain of {len(entries)} is whole. Its last hash: {head}")
    if export is not None:
        say(f"All {len(entries)} are in {export}.")
