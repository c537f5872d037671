"""Video to events: who was seen, when, and on which frame best."""

from mfr.watching.events import Event
from mfr.watching.source import Frame, Frames, open_frames
from mfr.watching.watcher import Watcher

__all__ = ["Event", "Frame", "Frames", "Watcher", "open_frames"]
