"""What ``mfr identify`` answers: in words and tables, as JSON, as CSV and as a picture."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import counted, measured_where, print_json, print_table, say, tell

if TYPE_CHECKING:
    from mfr.gallery.group_photo import NamedFace
    from mfr.gallery.many_photos import SearchedPhoto
    from mfr.gallery.results import Identification


def tell_one(probes: Sequence[str], found: Identification, *, as_json: bool) -> None:
    """Who the photos of one person show, and the nearest people."""
    if as_json:
        print_json(found)
        return
    for warning in found.warnings:
        tell(f"Note: {warning}")
    say(_answer(probes, found))
    words = {True: "yes", False: "no", None: "no threshold"}
    table = Table("", "Identity", "Score", "Match")
    for rank, match in enumerate(found.candidates, 1):
        table.add_row(str(rank), Text(match.identity), f"{match.score:.4f}", words[match.match])
    print_table(table)


def _answer(probes: Sequence[str], found: Identification) -> str:
    """Who it is, in a sentence or two."""
    shown, verb = f"The {len(probes)} photos", "show"
    if len(probes) == 1:
        shown, verb = probes[0], "shows"
    if found.threshold is None:
        return (
            f"{shown}: without a calibration or --threshold there is no answer, only the nearest."
        )
    nearest = found.candidates[0] if found.candidates else None
    if nearest is None:
        return f"{shown} {verb} nobody: nobody is enrolled."
    score = f"score {nearest.score:.4f}, threshold {found.threshold:.4f}"
    said = {
        "match": f"{shown} {verb} {nearest.identity}",
        "uncertain": f"{shown} may show {nearest.identity}, which is uncertain",
        "nobody": f"{shown} {verb} nobody who is enrolled",
    }[found.outcome or "nobody"]
    margin = "" if found.margin is None else f", {found.margin:.4f} ahead of the second"
    return f"{said}: {score}{margin}. {_risk(found)}"


def _risk(found: Identification) -> str:
    """How often strangers are taken for somebody, and where that was measured."""
    risk = "not known" if found.fpir is None else f"{found.fpir:.2g}"
    where = "" if found.measured is None else f", measured on {measured_where(found.measured)}"
    return f"Of strangers, the share taken for somebody: {risk}{where}."


def tell_faces(photo: str, faces: Sequence[NamedFace], draw: Path | None, *, as_json: bool) -> None:
    """Who is in a photo: a row a face, and the picture if one is wanted."""
    if draw is not None:
        _draw(photo, faces, draw)
    if as_json:
        rows = [{"box": face.box, **_fields(face.found)} for face in faces]
        print_json({"photo": photo, "faces": rows, "picture": draw})
        return
    for number, face in enumerate(faces, 1):
        for warning in face.found.warnings:
            tell(f"Note: face {number}: {warning}")
    table = Table("", "Who", "Nearest", "Score", "Threshold", "Box")
    for number, face in enumerate(faces, 1):
        box = " ".join(f"{x:.0f}" for x in face.box)
        table.add_row(str(number), *_cells(face.found), _number(face.found.threshold), box)
    print_table(table)
    say(f"{photo} shows {_counts(face.found for face in faces)}, from left to right.")
    for line in _risks([face.found for face in faces], "face"):
        say(line)
    if draw is not None:
        say(f"The picture with names is {draw}.")


def _draw(photo: str, faces: Sequence[NamedFace], place: Path) -> None:
    import numpy as np

    from mfr.drawing import NamedBox, box_with_name, draw_faces, write_picture
    from mfr.images import read_image

    boxes = []
    for face in faces:
        box, outcome = np.array(face.box), face.found.outcome
        if outcome is None:  # without a threshold it is not even nobody
            boxes.append(NamedBox(box, "?", "unknown"))
        else:
            boxes.append(box_with_name(box, _named(face.found), sure=outcome == "match"))
    write_picture(place, draw_faces(read_image(photo), boxes))


def _named(found: Identification) -> str | None:
    """Who it is or may be; without a threshold nobody can be told."""
    return found.candidates[0].identity if found.outcome in ("match", "uncertain") else None


def tell_photos(photos: Sequence[SearchedPhoto], csv_file: Path | None, *, as_json: bool) -> None:
    """Who each photo of a folder shows: a row a photo, and a line for each that was refused."""
    from mfr import atomic

    if csv_file is not None:
        atomic.write_text(csv_file, _as_csv(photos))
    answered = [(each.photo, each.found) for each in photos if each.found is not None]
    refused = [each.refused for each in photos if each.refused is not None]
    if as_json:
        fields = ({} if each.found is None else _fields(each.found) for each in photos)
        print_json(
            [
                {"photo": each.photo, "refused": each.refused, **more}
                for each, more in zip(photos, fields, strict=True)
            ]
        )
    else:
        if csv_file is None and answered:
            table = Table("Photo", "Who", "Nearest", "Score")
            for photo, found in answered:
                table.add_row(Text(photo), *_cells(found))
            print_table(table)
        for note, times in Counter(
            warning for _, found in answered for warning in found.warnings
        ).most_common():
            tell(f"Note: {note}" + (f" ({times} photos)" if times > 1 else ""))
        for reason in refused:
            say(f"Refused: {reason}")
        counts = _counts(found for _, found in answered)
        say(f"{counted(len(photos), 'photo')}: {counts}, {len(refused)} refused.")
        for line in _risks([found for _, found in answered], "photo"):
            say(line)
        if csv_file is not None:
            say(f"The answers are in {csv_file}.")
    if refused:
        raise typer.Exit(1)


def _fields(found: Identification) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def _cells(found: Identification) -> tuple[Text, Text, str]:
    """Who it is, the nearest and its score, for a table."""
    name = _named(found)
    if found.outcome is None:
        who = "no threshold"
    elif name is None:
        who = "nobody"
    else:
        who = name if found.outcome == "match" else f"{name}?"
    nearest = found.candidates[0] if found.candidates else None
    return (
        Text(who),
        Text("–" if nearest is None else nearest.identity),
        _number(None if nearest is None else nearest.score),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _counts(found: Iterable[Identification]) -> str:
    """'2 matches, 1 uncertain, 3 nobody'."""
    of = Counter(each.outcome for each in found)
    if of[None]:
        return f"{of[None]} without an answer, as there is no calibration and no --threshold"
    matches = "1 match" if of["match"] == 1 else f"{of['match']} matches"
    return f"{matches}, {of['uncertain']} uncertain, {of['nobody']} nobody"


def _risks(found: Sequence[Identification], noun: str) -> list[str]:
    """`_risk` for every basis on which faces or photos were judged, with how many were."""
    sentences = Counter(_risk(each) for each in found if each.threshold is not None)
    if len(sentences) < 2:
        return list(sentences)
    return [f"{counted(times, noun)}: {risk}" for risk, times in sentences.most_common()]


def _as_csv(photos: Sequence[SearchedPhoto]) -> str:
    from mfr.csv_rows import guarded

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (
            *("photo", "outcome", "identity", "nearest", "score", "margin", "threshold", "fpir"),
            *("condition", "people", "warnings", "refused"),
        )
    )
    for each in photos:
        if each.found is None:
            reason = guarded(each.refused or "")
            writer.writerow((guarded(each.photo), "refused", *[""] * 9, reason))
            continue
        found, measured = each.found, each.found.measured
        nearest = found.candidates[0] if found.candidates else None
        numbers = (None if nearest is None else nearest.score, found.margin, found.threshold)
        writer.writerow(
            (
                guarded(each.photo),
                found.outcome or "",
                guarded(found.identity or ""),
                "" if nearest is None else guarded(nearest.identity),
                *("" if number is None else f"{number:.6f}" for number in numbers),
                "" if found.fpir is None else f"{found.fpir:.3g}",
                *(("", "") if measured is None else (measured.condition, measured.people)),
                guarded(" ".join(found.warnings)),
                "",
            )
        )
    return text.getvalue()
