"""The user's master key: from a file, from the environment, or from a command that prints it."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.errors import ConfigError

KEY_BYTES: Final = 32

KEY_VARIABLE: Final = "MFR_GALLERY_KEY"
"""The environment's name for the key itself, in hexadecimal or base64."""
FILE_VARIABLE: Final = "MFR_GALLERY_KEY_FILE"
"""The environment's name for a file that holds the key so, or as its bytes."""
COMMAND_VARIABLE: Final = "MFR_GALLERY_KEY_COMMAND"
"""The environment's name for a command that prints the key."""

_SECONDS: Final = 30.0
_LARGEST: Final = 4096


def master_key() -> bytes | None:
    """The master key that the environment names, 32 bytes; None if it names none.

    Raises:
        ConfigError: it names several, or one that cannot be had or is no key.
    """
    sources: dict[str, Callable[[str], bytes]] = {
        KEY_VARIABLE: lambda text: parsed_key(text.encode(), KEY_VARIABLE),
        FILE_VARIABLE: lambda text: read_key(Path(text)),
        COMMAND_VARIABLE: key_from_command,
    }
    given = _named()
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} both name a key: keep one of them.")
    return sources[given[0]](os.environ[given[0]]) if given else None


def names_key() -> bool:
    """Whether the environment names a master key."""
    return bool(_named())


def read_key(path: Path) -> bytes:
    """The key in a file: 32 bytes, or text of them in hexadecimal or base64.

    Raises:
        ConfigError: the file cannot be read, or holds no key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise ConfigError(
            f"The key file {path} cannot be read ({error.strerror}): correct its name or its "
            "permissions."
        ) from error
    return data if len(data) == KEY_BYTES else parsed_key(data, str(path))


def key_from_command(command: str) -> bytes:
    """The key that ``command`` prints, in hexadecimal or base64; it is run without a shell.

    Raises:
        ConfigError: it cannot be run, fails, takes over half a minute, or prints no key.
    """
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=_SECONDS, check=True)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"The key command '{command}' did not give a key ({error}): run it by hand and see."
        ) from error
    return parsed_key(done.stdout[:_LARGEST], f"The output of '{command}'")


def parsed_key(data: bytes, where: str) -> bytes:
    """The key that ``data`` spells in hexadecimal or base64, called ``where`` in errors.

    Raises:
        ConfigError: it spells none.
    """
    text = data.strip()
    for decode in (binascii.unhexlify, lambda each: base64.b64decode(each, validate=True)):
        try:
            key = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) == KEY_BYTES:
            return bytes(key)
    raise ConfigError(
        f"{where} is no key of {KEY_BYTES} bytes in hexadecimal or base64: make one with "
        "'mfr gallery new-key FILE'."
    )


def write_new_key(path: Path) -> None:
    """Write a new random key, in hexadecimal, for its maker's eyes only.

    Raises:
        ConfigError: something is there already.
        WriteError: the disk is full or the place not writable.
    """
    if os.path.lexists(path):
        raise ConfigError(f"{path} is there already: choose another name for the key.")
    with atomic.replacing(path, mode=0o600) as temporary:
        temporary.write_text(secrets.token_hex(KEY_BYTES) + "\n", encoding="ascii")


def _named() -> list[str]:
    variables = (KEY_VARIABLE, FILE_VARIABLE, COMMAND_VARIABLE)
    return [name for name in variables if os.environ.get(name)]
