import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from mfr.benchmark import bootstrap
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.report import Report
from mfr.benchmark.writing import write_report
from mfr.errors import DataError, WriteError
from tests.benchmark.conftest import FakeEncoder, make_dataset

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "FEWEST_PEOPLE", 1)
        return _made(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def text(report, tmp_path_factory):
    """The page, drawn once for all tests."""
    return write_report(report, tmp_path_factory.mktemp("page"))[1].read_text()


def _made(place):
    data = make_dataset(place, {"ada": 3, "bob": 3, "cy": 2}, noise=30)
    names = [HOSTILE if name == "ada" else name for name in data.column("identity")]
    data = data.with_columns({"identity": names}).with_notes(licences={"lfw": HOSTILE, "b": "x"})
    encoder = FakeEncoder(sources=["lfw"])
    return benchmark_domain(encoder, data, "lfw", resamples=30, command=f"mfr {HOSTILE}")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_round_trip(report, tmp_path):
    json_path, html_path = write_report(report, tmp_path / "out")
    assert (json_path.name, html_path.name) == ("report.json", "report.html")
    assert Report.read(tmp_path / "out") == report
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
    ]


def test_page_stands_alone_and_nests_well(text):
    assert not re.search(r"https?:", text)
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:image/jpeg;base64,", "#"))
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    # What the drawings refer to is on the page.
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | {
        value[1:] for name, value in page.attributes if name in ("href", "xlink:href")
    }
    assert used <= set(identifiers)


def test_page_escapes_what_comes_from_data(report, text):
    assert "<script" not in text
    # It is shown, as text: in the gallery of mistakes, the command and the dataset's notes.
    words = " ".join(Page(text).words)
    assert f"mfr {HOSTILE}" in words
    assert any(HOSTILE in mistake.identities for mistake in report.mistakes)


def test_page_says_what_the_report_says(report, text):
    words = re.sub(r"\s+", " ", " ".join(Page(text).words))
    assert report.warnings[0] in words
    for metric in report.metrics:
        assert metric.name in words
        if metric.reason:
            assert metric.reason in words
    assert f"{report.metric('rank1').value:.2%}" in words
    assert report.model_hash in words


def test_every_picture_has_words_and_is_a_crop(report, text):
    page = Page(text)
    assert page.tags.count("img") == 2 * len(report.mistakes)
    assert sum(name == "alt" and bool(value) for name, value in page.attributes) == page.tags.count(
        "img"
    )
    picture = Image.open(BytesIO(base64.b64decode(report.mistakes[0].pictures[0])))
    assert (picture.size, picture.format) == ((112, 112), "JPEG")


def test_roc_of_the_report_rises_inside_its_band(report):
    curve = report.roc
    assert (curve.fmr[-1], curve.tar[-1]) == (1.0, 1.0)
    for values in (curve.fmr, curve.tar, curve.wanted_fmr):
        assert values == sorted(values)
    assert all(fmr <= wanted for fmr, wanted in zip(curve.fmr, curve.wanted_fmr, strict=True))
    assert all(low <= high for low, high in zip(curve.low, curve.high, strict=True))


@pytest.mark.parametrize("content", [None, "", "{}", "[1", '{"format": "other"}'])
def test_no_report(tmp_path, content):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(DataError, match=r"report\.json"):
        Report.read(tmp_path)


def test_another_version_is_refused(report, tmp_path):
    write_report(report.model_copy(update={"version": 99}), tmp_path)
    with pytest.raises(DataError, match="version 99"):
        Report.read(tmp_path)


def test_a_place_that_cannot_be_written(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError):
        write_report(report, tmp_path / "file")
