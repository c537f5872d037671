"""Findings about people, on embeddings for which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools.checking.joined import find_wrongly_joined
from data_tools.checking.lookalikes import find_lookalikes, match_identities
from data_tools.checking.merged import find_merged, two_means
from data_tools.checking.mislabelled import find_mislabelled
from data_tools.checking.people import FEWEST


def lookalikes(people):
    return kinds(find_lookalikes(people, match_identities(people)))


def mislabelled(people):
    return kinds(find_mislabelled(people, match_identities(people)))


def kinds(findings):
    return {finding.kind: finding.cases for finding in findings}


def test_nothing_is_said_of_clean_people(clean, people_of):
    people = people_of(clean)
    assert not any(lookalikes(people).values())
    assert not any(mislabelled(people).values())
    assert not find_merged(people).cases
    assert not find_wrongly_joined(people).cases


def test_inner_own_and_linkage_are_what_their_names_say(clean, people_of):
    people = people_of([*clean, ("d", "alone", "alone", clean[0][3])])
    by_name = {name: k for k, name in enumerate(people.names)}
    first = np.array([face for _, name, _, face in clean if name == "p00"], np.float32)
    second = np.array([face for _, name, _, face in clean if name == "p01"], np.float32)
    cosines = (first @ first.T)[np.triu_indices(8, 1)]
    inner = people.inner()
    assert inner[by_name["p00"]] == pytest.approx(cosines.mean(), abs=1e-5)
    assert np.isnan(inner[by_name["alone"]])
    linkage = people.linkage(by_name["p00"], by_name["p01"])
    assert linkage == pytest.approx((first @ second.T).mean(), abs=1e-5)
    rest = first[1:].sum(axis=0)
    own = people.own()
    assert own[0] == pytest.approx(first[0] @ rest / np.linalg.norm(rest), abs=1e-5)
    assert np.isnan(own[-1])


def test_one_human_as_two_identities(clean, people_of):
    faces = [
        (d, "p07 again" if name == "p07" and i % 2 else name, person, face)
        for i, (d, name, person, face) in enumerate(clean)
    ]
    faces = [(d, name, name, face) for d, name, _, face in faces]
    found = lookalikes(people_of(faces))
    (case,) = found["split-identities"]
    assert case.text == "p07 (d) and p07 again (d)"
    assert sorted(len(strip.rows) for strip in case.strips) == [4, 4]
    torn = lookalikes(people_of(faces, {"p07": "train", "p07 again": "test"}))
    assert not torn["split-identities"] and len(torn["split-leaks"]) == 1
    assert not mislabelled(people_of(faces))["mislabelled"]  # it is reported only once
    joined = [(d, name, name[:3], face) for d, name, _, face in faces]
    assert not any(lookalikes(people_of(joined)).values())


def test_one_human_in_two_domains(clean, directions, photos, people_of):
    others = [
        ("e", f"q{k}", f"q{k}", face)
        for k in range(25, 40)  # 25 to 29 are in d too, under another name
        for face in photos(directions[k], 6)
    ]
    found = lookalikes(people_of([*clean, *others]))
    assert {case.text for case in found["shared-people"]} == {
        f"p{k} (d) and q{k} (e)" for k in range(25, 30)
    }
    assert not found["split-identities"]
    joined = [(d, name, f"p{name[1:]}", face) for d, name, _, face in others]
    assert not any(lookalikes(people_of([*clean, *joined])).values())


def test_two_humans_in_one_identity(clean, people_of):
    faces = [(d, "p03" if name == "p04" else name, "x", face) for d, name, _, face in clean]
    faces = [(d, name, name, face) for d, name, _, face in faces]
    (case,) = find_merged(people_of(faces)).cases
    rows = {i for i, (_, name, _, _) in enumerate(clean) if name == "p03"}
    assert case.text.startswith("p03 ")
    assert rows in [set(strip.rows) for strip in case.strips]
    assert case.score == pytest.approx(0, abs=0.3)


def test_an_image_of_somebody_else_and_one_of_nobody(clean, directions, photos, people_of):
    wrong = photos(directions[9], 1)[0]
    nobody = photos(directions[39], 1)[0]
    people = people_of([*clean, ("d", "p02", "p02", wrong), ("d", "p05", "p05", nobody)])
    found = mislabelled(people)
    (swapped,) = found["mislabelled"]
    assert swapped.strips[0].rows == [240] and swapped.text == "p02 (d), looks like p09"
    assert swapped.score > 0.5
    (stranger,) = found["strangers"]
    assert stranger.strips[0].rows == [241]


def test_the_name_of_the_same_person_is_no_mislabel(clean, directions, photos, people_of):
    twin = [("d", "p09 film", "p09", face) for face in photos(directions[9], 4)]
    found = mislabelled(people_of([*clean, *twin]))
    assert not found["mislabelled"]


def test_two_images_that_differ_are_one_case(clean, directions, photos, people_of):
    pair = [("d", "two", "two", photos(directions[k], 1)[0]) for k in (38, 39)]
    (case,) = mislabelled(people_of([*clean, *pair]))["strangers"]
    assert case.text == "two (d)"


def test_too_few_people_to_know_what_is_usual(clean, people_of):
    few = [face for face in clean if int(face[1][1:]) < FEWEST - 1]
    few = [(d, "p03" if name == "p04" else name, person, face) for d, name, person, face in few]
    people = people_of(few)
    assert not find_merged(people).cases
    assert not any(mislabelled(people).values())


def test_two_means_parts_what_is_apart(directions, photos):
    vectors = np.array([*photos(directions[0], 5), *photos(directions[1], 9)], np.float32)
    part = two_means(vectors)
    assert len(set(part[:5])) == len(set(part[5:])) == 1 and part[0] != part[-1]
    same = np.repeat(vectors[:1], 4, axis=0)
    assert two_means(same).all() or not two_means(same).any()


def test_two_humans_joined_as_one_person(clean, directions, photos, people_of):
    others = [
        ("e", f"q{k}", f"p{k}", face) for k in range(20, 40) for face in photos(directions[k], 6)
    ]
    wrong = [("e", "q1", "p11", face) for face in photos(directions[5], 6)]
    people = people_of([*clean, *others, *wrong])
    (case,) = find_wrongly_joined(people).cases
    assert case.text == "p11 (d) and q1 (e)" and case.score == pytest.approx(0, abs=0.3)
    one_domain = [
        (d, name, "x" if name in ("p03", "p04") else p, face) for d, name, p, face in clean
    ]
    (case,) = find_wrongly_joined(people_of(one_domain)).cases
    assert case.text == "p03 (d) and p04 (d)"
    twin = [(d, f"{n}{i % 2}", p, face) for i, (d, n, p, face) in enumerate(clean)]
    assert not find_wrongly_joined(people_of(twin)).cases
