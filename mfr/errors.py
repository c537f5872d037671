"""The mistakes a user can make, each told in one sentence that says what to do about it.

Raise the child that names the room where the cause is known. The command line prints the sentence
and exits 2; nothing else in the library prints or exits.
"""


class MfrError(Exception):
    """Something the user can put right; ``str(error)`` is one sentence that says how."""


class ImageError(MfrError):
    """A file that is no image, is damaged, or is larger than the limits allow."""


class FaceError(MfrError):
    """A photograph without a usable face, or with several where one was needed."""


class PoorFaceError(FaceError):
    """A face that is too small, dark, bright, blurred or turned to be relied on."""


class SourceError(MfrError):
    """A video, camera or stream that cannot be opened, gives nothing or has stalled."""


class WatchMissingError(MfrError):
    """There is no watch of the given name."""


class WatchExistsError(MfrError):
    """A new watch cannot have the name of another."""


class DataError(MfrError):
    """A dataset or manifest that is missing, inconsistent or too small for what was asked."""


class ModelError(MfrError):
    """A model or weight file that is missing, damaged, foreign or unfit for what was asked."""


class ConfigError(MfrError):
    """A run file or an option with a value that cannot be used."""


class ClusterError(MfrError):
    """A cluster that loses its workers again and again."""


class TrainingError(MfrError):
    """Training that cannot start, go on or be resumed."""


class GalleryError(MfrError):
    """A gallery that cannot do what was asked; children name causes that a service tells apart."""


class GalleryMissingError(GalleryError):
    """There is no gallery at the given location."""


class GalleryExistsError(GalleryError):
    """A new gallery cannot be made where something else is."""


class GalleryBusyError(GalleryError):
    """Another writer held the gallery for too long; the same call may succeed later."""


class GalleryUnreachableError(GalleryError):
    """The server that keeps the gallery cannot be reached; the same call may succeed later."""


class GalleryDamagedError(GalleryError):
    """What is stored is not what was written, or was not written by this program."""


class GalleryKeyError(GalleryError):
    """The gallery is encrypted, and its key is missing or is another one."""


class ForeignModelError(GalleryError):
    """The gallery's templates, or the embedding given, come from another model."""


class DoubtfulEnrolmentError(GalleryError):
    """An enrolment that looks like a mistake, and that can be insisted upon."""


class NotEnrolledError(GalleryError):
    """The gallery has no such identity, or the identity no such template."""


class GalleryWarning(UserWarning):
    """A gallery that goes on working, but not as it should; the command line prints it."""


class WriteError(MfrError):
    """A file that could not be written: no space, no permission, no such place."""
