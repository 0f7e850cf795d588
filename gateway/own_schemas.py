"""The directory of schemas that a connection brings from its bank (`schemas = "…"`), and what became of it at each use."""

from pathlib import Path
from typing import Final

from formats.schemas_own import BrokenSchemas, OwnSchemas

FILES_MAX: Final = 500
FILE_BYTES_MAX: Final = 8 * 1024 * 1024


def read_schemas(directory: Path) -> OwnSchemas:
    """The schemas of a directory: its `.xsd` files, without those of folders in it. Raises `BrokenSchemas`."""
    files: dict[str, bytes] = {}
    try:
        found = sorted(path for path in directory.iterdir() if path.suffix.lower() == ".xsd" and not path.name.startswith("."))
    except OSError as error:
        raise BrokenSchemas((("", f"cannot be read: {error.strerror}"),)) from None
    except ValueError:  # a zero byte in its name
        raise BrokenSchemas((("", "is no name of a directory"),)) from None
    if len(found) > FILES_MAX:
        raise BrokenSchemas((("", f"there are more than {FILES_MAX} .xsd files"),))
    problems = []
    for path in found:
        try:
            with path.open("rb") as file:
                files[path.name] = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            problems.append((path.name, f"cannot be read: {error.strerror}"))
            continue
        if len(files[path.name]) > FILE_BYTES_MAX:
            problems.append((path.name, "is larger than 8 MiB"))
    if problems:
        raise BrokenSchemas(tuple(problems))
    return OwnSchemas.of(files)
