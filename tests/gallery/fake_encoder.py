"""The old name, until the tests of the command line use the new one."""

from tests.gallery.fake_recogniser import FakeRecogniser as FakeEncoder
from tests.gallery.fake_recogniser import photo

__all__ = ["FakeEncoder", "photo"]
