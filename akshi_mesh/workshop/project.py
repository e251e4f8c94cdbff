"""A project of one agent: a directory with source, SDK, world, test, and `agent.toml`.

Everything is copied from the package, so a project builds the same whatever is installed later.
"""

import tomllib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from akshi_mesh.workshop.errors import ProjectRefused
from sandbox.agent_spec import NAME_PATTERN

MANIFEST: Final = "agent.toml"
MANIFEST_BYTES_MAX: Final = 4_096
NAME_MARK: Final = "@NAME@"  # stands for the agent's name in every template
# A name that an installed package keeps, and what it is called in a project.
_RENAMED: Final = {"gitignore": ".gitignore"}


@dataclass(frozen=True, slots=True)
class Language:
    """One language: what of sandbox/sdk a project of it gets, and where its agent is written."""

    name: str
    sdk: tuple[str, ...]
    main: str
    memory_mb: int
    test: str  # what a person types to run the agent's test


LANGUAGES: Final = {
    language.name: language
    for language in (
        Language(
            "python",
            ("akshi.py", "akshi_values.py", "akshi_testing.py"),
            "agent.py",
            64,
            "python -m unittest",
        ),
        Language(
            "c",
            (
                *("akshi.h", "akshi.c", "akshi_outside.c", "akshi_json.c"),
                *("akshi_border.h", "akshi_fields.h", "akshi_testing.h"),
            ),
            "agent.c",
            16,
            "make test",
        ),
        Language(
            "rust",
            ("akshi.rs", "border.rs", "json.rs", "outside.rs"),
            "src/lib.rs",
            16,
            "cargo test",
        ),
        Language("js", ("akshi.js", "akshi_testing.js"), "agent.js", 16, "node --test"),
    )
}


@dataclass(frozen=True, slots=True)
class Project:
    """What `agent.toml` says, and where it stands."""

    directory: Path
    name: str
    language: Language

    @property
    def output(self) -> Path:
        return self.directory / f"{self.name}.wasm"


def begin(name: str, language: str, directory: Path) -> Project:
    """Make a new project in `directory`, which is absent or empty.

    Raises:
        ProjectRefused: the name is none of an agent, the language unknown, the place taken.
        OSError: it cannot be written.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ProjectRefused(
            f"agent name {name!r}: want 1 to 64 letters, digits, _, . or -, "
            "not starting with . or -"
        )
    chosen = _language(language)
    if directory.is_symlink() or (directory.exists() and not _is_empty(directory)):
        raise ProjectRefused(f"{directory} is there already and not an empty directory")
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in sorted(_contents(name, chosen).items()):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:  # never over what came meanwhile
            out.write(content)
    return Project(directory, name, chosen)


def open_project(directory: Path) -> Project:
    """The project that stands in `directory`.

    Raises:
        ProjectRefused: there is none, or its manifest means nothing.
    """
    path = directory / MANIFEST
    hint = "akshi-node agents new NAME --lang python"
    try:
        with path.open("rb") as file:
            written = file.read(MANIFEST_BYTES_MAX + 1)
    except OSError as failure:
        why = (failure.strerror or "unreadable").lower()
        raise ProjectRefused(f"{path}: {why}; no agent project", hint=hint) from failure
    if len(written) > MANIFEST_BYTES_MAX:
        raise ProjectRefused(f"{path}: more than {MANIFEST_BYTES_MAX} bytes")
    try:
        said = tomllib.loads(written.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise ProjectRefused(f"{path}: {broken}".splitlines()[0]) from broken
    if set(said) != {"name", "lang"} or not all(isinstance(v, str) for v in said.values()):
        raise ProjectRefused(f"{path}: want two texts, name and lang, and nothing else")
    if not NAME_PATTERN.fullmatch(said["name"]):
        raise ProjectRefused(f"{path}: name: want that of an agent, not {said['name']!r}")
    return Project(directory, said["name"], _language(said["lang"]))


def _language(name: str) -> Language:
    language = LANGUAGES.get(name)
    if language is None:
        raise ProjectRefused(f"language {name!r}: want one of {', '.join(LANGUAGES)}")
    return language


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def _contents(name: str, language: Language) -> dict[str, bytes]:
    """Every file of a new project, by its path in it."""
    package = resources.files("sandbox")
    sdk = package / "sdk"
    contents = {f"sdk/{file}": (sdk / file).read_bytes() for file in language.sdk}
    contents["wit/akshi.wit"] = (package / "wit" / "akshi.wit").read_bytes()
    for folder in ("common", language.name):
        contents |= _templates(sdk / "templates" / folder, "", name, language)
    contents[MANIFEST] = f'name = "{name}"\nlang = "{language.name}"\n'.encode()
    return contents


def _templates(folder: Traversable, prefix: str, name: str, language: Language) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in folder.iterdir():
        if item.name in ("__pycache__", "node_modules"):
            continue
        path = prefix + _RENAMED.get(item.name, item.name)
        if item.is_dir():
            found |= _templates(item, f"{path}/", name, language)
        else:
            found[path] = _filled(item.read_text(), name, language).encode()
    return found


def _filled(text: str, name: str, language: Language) -> str:
    marks = {
        NAME_MARK: name,
        "@LANG@": language.name,
        "@MAIN@": language.main,
        "@TEST@": language.test,
        "@MEMORY_MB@": str(language.memory_mb),
    }
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text
