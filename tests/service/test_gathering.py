from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mfr.errors import FaceError, ImageError
from mfr.images import NamedBytes
from mfr.service.gathering import BATCH, GatheringRecogniser
from mfr.service.problems import ServiceError
from mfr.service.settings import Limits
from tests.service.toy_service import ToyDecoder, ToyRecogniser, photo, wait_until


def gathering(toy: ToyRecogniser, **limits: float) -> GatheringRecogniser:
    chosen = Limits(gather_seconds=0.0).model_copy(update=limits)
    return GatheringRecogniser(toy, ToyDecoder(), chosen)  # type: ignore[arg-type]


def test_each_caller_gets_the_face_of_its_own_photo_and_photos_go_together() -> None:
    toy = ToyRecogniser(hold=threading.Event())
    recogniser = gathering(toy)
    count = 3 * BATCH
    with ThreadPoolExecutor(count) as pool:
        faces = [pool.submit(recogniser.embed_photo, photo(n + 1, 1, 0)) for n in range(count)]
        wait_until(lambda: recogniser.waiting >= BATCH)
        toy.hold.set()  # type: ignore[union-attr]
        for number, each in enumerate(faces):
            x, y, _ = each.result().embedding
            assert x / y == pytest.approx(number + 1, rel=1e-4)
    assert sum(toy.batches) == count and max(toy.batches) > 1 and max(toy.batches) <= BATCH
    recogniser.close()


def test_errors_are_each_photos_own() -> None:
    recogniser = gathering(ToyRecogniser())
    given = [photo(1, 0, 0), photo(name="empty.jpg"), b"bad", photo(0, 1, 0)]
    found = list(recogniser.embed_each(given))  # type: ignore[arg-type]
    assert isinstance(found[1], FaceError) and isinstance(found[2], ImageError)
    assert [found[0].name, found[3].name] == ["photo.jpg", "photo.jpg"]
    with pytest.raises(ImageError, match="damaged"):
        recogniser.embed_photo(b"bad")
    recogniser.close()


def test_who_comes_when_too_many_wait_is_told_to_come_back() -> None:
    toy = ToyRecogniser(hold=threading.Event())
    recogniser = gathering(toy, waiting=1, seconds=0.3)
    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(recogniser.embed_photo, photo(1, 0, 0)) for _ in range(8)]
        codes = []
        for each in first:
            with pytest.raises(ServiceError) as caught:
                each.result()
            codes.append((caught.value.status, caught.value.headers["Retry-After"]))
        assert codes == [(503, "1")] * 8  # some found no room, the others were not answered in time
        toy.hold.set()  # type: ignore[union-attr]
    assert recogniser.waiting == 0
    assert recogniser.embed_photo(photo(1, 0, 0)).embedding[0] == 1
    recogniser.close()


def test_what_was_accepted_is_finished_before_it_closes() -> None:
    toy = ToyRecogniser(hold=threading.Event())
    recogniser = gathering(toy)
    with ThreadPoolExecutor(6) as pool:
        faces = [pool.submit(recogniser.embed_photo, photo(1, 0, 0)) for _ in range(5)]
        wait_until(lambda: len(toy.batches) + recogniser.waiting >= 1)
        closed = pool.submit(recogniser.close)
        toy.hold.set()  # type: ignore[union-attr]
        done = 0
        for each in faces:
            try:
                done += each.result().embedding[0] == 1
            except ServiceError as error:
                assert error.status == 503
        closed.result()
    assert done >= 1
    with pytest.raises(ServiceError):
        recogniser.embed_photo(photo(1, 0, 0))


def test_a_failure_of_the_model_is_told_to_whom_it_concerns_and_work_goes_on() -> None:
    recogniser = gathering(ToyRecogniser())
    with pytest.raises(ValueError, match="could not convert"):
        recogniser.embed_photo(NamedBytes(b"no number", "x.jpg"))
    assert recogniser.embed_photo(photo(1, 0, 0)).embedding[0] == 1
    recogniser.close()
