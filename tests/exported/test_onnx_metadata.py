"""The metadata of ONNX files as the package onnx reads them, or a refusal."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="mfr[onnx] is not installed")

from hypothesis import given
from hypothesis import strategies as st

from mfr.exported.onnx_metadata import onnx_metadata
from tests.exported.graphs import parsed, tiny_graph

GRAPH = tiny_graph()


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=300), max_size=4))
def test_are_what_onnx_reads(metadata: dict[str, str]) -> None:
    model = parsed(GRAPH)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    assert onnx_metadata(model.SerializeToString()) == metadata


def test_fields_of_every_kind_are_passed_over() -> None:
    # Field 14 (2, length-delimited): {1: "k", 2: "v"}; before it 1: 300, 2: eight bytes, 3: four.
    message = bytes([0x08, 0xAC, 0x02, 0x11, *range(8), 0x1D, *range(4)])
    pair = bytes([0x0A, 1, ord("k"), 0x12, 1, ord("v")])
    assert onnx_metadata(message + bytes([0x72, len(pair)]) + pair) == {"k": "v"}
    assert onnx_metadata(message) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"\x72\x05ab",  # five bytes are said and two there
        b"\x11\x00",  # a number of eight bytes, of which one is there
        b"\x08\x80",  # a varint without its end
        b"\x08" + 11 * b"\xff",
        b"\x0b",  # a group, which is out of use
        b"\x72\x03\x0a\x01\xff",  # no UTF-8
    ],
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        onnx_metadata(content)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_or_has_no_record(content: bytes) -> None:
    try:
        found = onnx_metadata(content)
    except ValueError:
        return
    assert all(isinstance(text, str) for pair in found.items() for text in pair)
