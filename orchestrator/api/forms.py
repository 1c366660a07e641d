"""Read a multipart form as it comes in: the file to the disk, the other fields into memory."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gpu_worker.errors import DiskFull, InvalidOption
from orchestrator.api.middleware.bodies import allow_body

FORM_FIELDS = 200
FORM_TEXT_BYTES = 32 * 1024**2  # of all fields but the file: room for four clips of ten seconds
OPTION_BYTES = 1024**2  # of all fields that hold no clip: checking them takes its time
CLIPS = ("known_speaker_references", "known_speaker_references[]")


class FormRefused(InvalidOption):
    """The body is not a valid multipart form."""

    hint = "Send multipart/form-data with the audio as the field `file`."


class FileMissing(FormRefused):
    """The field file is missing, or has no file name."""

    param = "file"


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The fields in their order, and the file."""

    fields: tuple[tuple[str, str], ...]
    file: UploadFile

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return self.file.filename or "audio"


@asynccontextmanager
async def upload_form(request: Request, max_file_bytes: int) -> AsyncIterator[UploadForm]:
    """Read the form of a request; the file is deleted after the block.

    Raises FormRefused, FileMissing, BodyTooLarge or DiskFull.
    """
    allow_body(request, max_file_bytes + FORM_TEXT_BYTES)
    items = await _read(request)
    files = {name: value for name, value in items if isinstance(value, UploadFile)}
    try:
        file = files.get("file")
        if file is None:
            raise FileMissing()
        yield UploadForm(
            tuple((name, value) for name, value in items if isinstance(value, str)), file
        )
    finally:
        for opened in files.values():
            await opened.close()


async def _read(request: Request) -> list[tuple[str, str | UploadFile]]:
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary", b"").decode("latin-1").replace('"', '\\"')
    if kind != b"multipart/form-data" or not boundary:
        raise FormRefused("The body is not multipart/form-data with a boundary.")
    # The client's charset is dropped: a form's text is UTF-8.
    headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = _Parser(
        headers,
        request.stream(),
        max_files=1,
        max_fields=FORM_FIELDS,
        max_part_size=FORM_TEXT_BYTES,
    )
    try:
        return (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise FormRefused(f"The form cannot be read: {error.message.rstrip('.')}.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("There is no space left for the upload.") from error
        raise


class _Parser(MultiPartParser):
    """A parser with limits on the size of all text fields together, and of those without clips."""

    def __init__(self, *args: object, **limits: object) -> None:
        super().__init__(*args, **limits)  # type: ignore[arg-type]
        self._text_bytes = 0
        self._option_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a part. Raises MultiPartException above one of the limits."""
        if self._current_part.file is None:
            self._text_bytes += end - start
            if self._current_part.field_name not in CLIPS:
                self._option_bytes += end - start
            if self._text_bytes > FORM_TEXT_BYTES or self._option_bytes > OPTION_BYTES:
                raise MultiPartException("The fields besides the file are too large")
        super().on_part_data(data, start, end)
