"""What a component asks for, read from its bytes: no engine, nothing of it runs.

A component is a list of sections. Imports name a type that stood before them, so the types,
what is aliased, imported and exported as a type are counted on the way; code, and components
within, are passed over by their length. Only shapes that our own world can have are
understood (no resources of ours, no nested components among the imports): anything else is
named as what it is, and the engine's own check, in the jailed child, has the last word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sandbox.capability import FUNCTIONS, Capability
from sandbox.errors import MalformedComponent

COMPONENT_BYTES_MAX: Final = 32 << 20  # as sandbox/host/compile.py reads at most
MAGIC: Final = b"\0asm\x0d\x00\x01\x00"  # version 13, layer 1: a component
CORE_MAGIC: Final = b"\0asm\x01\x00\x00\x00"
INTERFACE_VERSION: Final = "0.1.0"
PREFIX: Final = "akshi:agent/"
SUFFIX: Final = f"@{INTERFACE_VERSION}"
ITEMS_MAX: Final = 100_000  # of one list; a real component has hundreds of types
SECTIONS_MAX: Final = 10_000  # measured: 282 in a Python component
DECLARED_BYTES_MAX: Final = 1 << 20  # of all that is read and not passed over; there 47 KB
NAME_CHARS_MAX: Final = 1_000
NESTING_MAX: Final = 16

_READ: Final = frozenset((6, 7, 10, 11))  # aliases, types, imports, exports
_SECTION_MAX: Final = 12  # 12 are values, which nothing makes yet
_KINDS: Final = {0: "module", 1: "function", 2: "value", 3: "type", 4: "component", 5: "instance"}
_FUNC, _TYPE_SORT, _INSTANCE = 1, 3, 5


def form_problem(wasm: bytes) -> str | None:
    """Why these first bytes are no binary component; None if they may be one.

    >>> form_problem(b"(component)")
    'text form; want the binary component'
    """
    if wasm.startswith(MAGIC):
        return None
    if wasm.startswith(CORE_MAGIC):
        return "a core module; want a component"
    if wasm[:4] == b"\0asm":
        return "an unknown version of wasm"
    if wasm.startswith(b"\x7fELF"):
        return "compiled for a machine; want the component it was made of"
    if wasm.lstrip()[:1] in (b"(", b";"):
        return "text form; want the binary component"
    return "not wasm"


@dataclass(frozen=True, slots=True)
class Import:
    """One thing a component wants from its host; `members` are the functions of an interface."""

    name: str
    kind: str
    members: tuple[str, ...] = ()

    @property
    def interface(self) -> str | None:
        """The interface of ours that this is, or None: then no node links it."""
        bare = self.name.removeprefix(PREFIX).removesuffix(SUFFIX)
        known = bare == "types" or bare in _INTERFACES
        return bare if known and self.name == f"{PREFIX}{bare}{SUFFIX}" else None


@dataclass(frozen=True, slots=True)
class Component:
    """The imports and exports of a component, in the order of its file."""

    imports: tuple[Import, ...]
    exports: tuple[str, ...]

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of our world that it can call, as `interface.function`."""
        return tuple(
            f"{one.interface}.{member}"
            for one in self.imports
            if one.interface is not None
            for member in one.members
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it could use if all of it were granted."""
        needed = (FUNCTIONS[name].capability for name in self.functions if name in FUNCTIONS)
        return frozenset(capability for capability in needed if capability is not None)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why no node would run it, as far as names tell."""
        return (
            *(
                f"import {one.name[:200]!r} is not part of the contract"
                for one in self.imports
                if one.interface is None
            ),
            *(
                f"import {name[:200]} is not part of the contract"
                for name in self.functions
                if name not in FUNCTIONS
            ),
            *(() if "run" in self.exports else ("no export named run",)),
        )


_INTERFACES: Final = frozenset(name.partition(".")[0] for name in FUNCTIONS)


def read_component(wasm: bytes) -> Component:
    """The imports and exports of a binary component.

    Raises:
        MalformedComponent: it is none, is cut off, or is larger than a node takes.
    """
    if len(wasm) > COMPONENT_BYTES_MAX:
        raise MalformedComponent(f"larger than {COMPONENT_BYTES_MAX >> 20} MiB")
    problem = form_problem(wasm)
    if problem is not None:
        raise MalformedComponent(problem)
    reader = _Sections()
    at, sections, declared = len(MAGIC), 0, 0
    while at < len(wasm):
        sections += 1
        head = _Bytes(wasm, at, len(wasm))
        section, size = head.byte(), head.u32()
        end = head.at + size
        if section > _SECTION_MAX:
            raise MalformedComponent(f"a section of an unknown kind {section}")
        if end > len(wasm):
            raise MalformedComponent(f"cut off: a section of {size} bytes ends beyond the file")
        if section in _READ:
            declared += size
        if sections > SECTIONS_MAX or declared > DECLARED_BYTES_MAX:
            raise MalformedComponent("more declarations than any agent has")
        reader.section(section, _Bytes(wasm, head.at, end))
        at = end
    return Component(tuple(reader.imports), tuple(reader.exports))


class _Bytes:
    """A window on the file; every read is inside it or the file is malformed."""

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self._end = end
        self.at = at

    def byte(self) -> int:
        if self.at >= self._end:
            raise MalformedComponent("cut off, or a length in it is wrong")
        self.at += 1
        return self._data[self.at - 1]

    def u32(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                if value >= 1 << 32:
                    raise MalformedComponent("a number of more than 32 bits")
                return value
            if shift >= 35:
                raise MalformedComponent("a number of more than 32 bits")

    def name(self) -> str:
        length = self.u32()
        if length > NAME_CHARS_MAX:
            raise MalformedComponent(f"a name of {length} bytes")
        if self.at + length > self._end:
            raise MalformedComponent("cut off, or a length in it is wrong")
        raw = self._data[self.at : self.at + length]
        self.at += length
        try:
            return raw.decode()
        except UnicodeDecodeError as broken:
            raise MalformedComponent("a name that is no UTF-8") from broken

    def each(self, read: Callable[[], object]) -> None:
        """Call `read` as often as the count that stands here says."""
        count = self.u32()
        if count > ITEMS_MAX:
            raise MalformedComponent(f"a list of {count} things")
        for _ in range(count):
            read()

    def external_name(self) -> str:
        """The name of an import or export, whatever form it is written in."""
        form = self.byte()
        if form > 1:
            raise MalformedComponent(f"a name of an unknown form {form}")
        return self.name()


class _Sections:
    """What was declared so far at the outermost level."""

    def __init__(self) -> None:
        self.imports: list[Import] = []
        self.exports: list[str] = []
        # The members of each type, if it is that of an instance; None for any other.
        self._types: list[tuple[str, ...] | None] = []

    def section(self, kind: int, data: _Bytes) -> None:
        match kind:
            case 6:
                data.each(lambda: self._alias(data))
            case 7:
                data.each(lambda: self._types.append(_type(data, depth=0)))
            case 10:
                data.each(lambda: self._import(data))
            case 11:
                data.each(lambda: self._export(data))
            case _:
                return  # code, instances, custom sections: nothing that is asked for

    def _alias(self, data: _Bytes) -> None:
        if _alias(data) == _TYPE_SORT:
            self._types.append(None)

    def _import(self, data: _Bytes) -> None:
        name = data.external_name()
        sort, index = _extern(data)
        members = self._members(index) if sort == _INSTANCE else ()
        self.imports.append(Import(name, _KINDS[sort], members))
        if sort == _TYPE_SORT:
            self._types.append(None)

    def _export(self, data: _Bytes) -> None:
        name = data.external_name()
        sort = _sort(data)
        data.u32()
        if data.byte():
            _extern(data)
        self.exports.append(name)
        if sort == _TYPE_SORT:
            self._types.append(None)

    def _members(self, index: int) -> tuple[str, ...]:
        members = self._types[index] if index < len(self._types) else None
        if members is None:
            raise MalformedComponent("an import has a type that is none of an interface")
        return members


def _sort(data: _Bytes) -> int:
    """What kind of thing an index is about; core things count as modules here."""
    sort = data.byte()
    if sort == 0:
        data.byte()
        return 0
    if sort not in _KINDS:
        raise MalformedComponent(f"a thing of an unknown sort {sort}")
    return sort


def _alias(data: _Bytes) -> int:
    sort = _sort(data)
    match data.byte():
        case 0 | 1:  # an export of an instance, or of a core instance
            data.u32()
            data.name()
        case 2:  # something of a component around this one
            data.u32()
            data.u32()
        case other:
            raise MalformedComponent(f"an alias of an unknown form {other}")
    return sort


def _extern(data: _Bytes) -> tuple[int, int]:
    """What kind of thing is imported or exported, and the index of its type."""
    sort = data.byte()
    match sort:
        case 0:
            if data.byte() != 0x11:
                raise MalformedComponent("an import of an unknown core sort")
            return sort, data.u32()
        case 1 | 4 | 5:
            return sort, data.u32()
        case 2:
            return sort, data.u32() if data.byte() == 0 else _value(data)
        case 3:
            return sort, data.u32() if data.byte() == 0 else 0
        case _:
            raise MalformedComponent(f"an import of an unknown sort {sort}")


def _type(data: _Bytes, *, depth: int) -> tuple[str, ...] | None:
    """Pass over one type; the functions of it if it is that of an instance."""
    if depth > NESTING_MAX:
        raise MalformedComponent(f"types nested more than {NESTING_MAX} deep")
    form = data.byte()
    match form:
        case 0x40 | 0x43:  # a function, or one that may wait
            data.each(lambda: (data.name(), _value(data)))
            if data.byte() == 0:
                _value(data)
            elif data.u32():
                data.name()
                _value(data)
        case 0x41 | 0x42:
            return _declarations(data, depth=depth, is_component=form == 0x41)
        case 0x3F:
            data.byte()
            if data.byte():
                data.u32()
        case _:
            _defined(form, data)
    return None


def _declarations(data: _Bytes, *, depth: int, is_component: bool) -> tuple[str, ...]:
    functions: list[str] = []

    def declaration() -> None:
        match data.byte():
            case 0:
                raise MalformedComponent("an interface with a core type in it")
            case 1:
                _type(data, depth=depth + 1)
            case 2:
                _alias(data)
            case 3 if is_component:
                data.external_name()
                _extern(data)
            case 4:
                name = data.external_name()
                sort, _ = _extern(data)
                if sort == _FUNC:
                    functions.append(name)
                elif sort != _TYPE_SORT:
                    # Nothing of ours has such a member; say it as one that no node links.
                    functions.append(f"{name} ({_KINDS[sort]})")
            case other:
                raise MalformedComponent(f"a declaration of an unknown form {other}")

    data.each(declaration)
    return tuple(functions)


def _value(data: _Bytes) -> int:
    """Pass over a value type: a primitive, or the index of a type."""
    first = data.byte()
    if first & 0x80:  # a longer index
        data.at -= 1
        return data.u32()
    return first


def _maybe(data: _Bytes) -> None:
    if data.byte():
        _value(data)


def _case(data: _Bytes) -> None:
    """Pass over one case of a variant."""
    data.name()
    _maybe(data)
    _maybe(data)


def _defined(form: int, data: _Bytes) -> None:
    """Pass over a type of values, of which `form` was read."""
    match form:
        case _ if 0x73 <= form <= 0x7F or form == 0x64:  # a primitive
            return
        case 0x72:  # record
            data.each(lambda: (data.name(), _value(data)))
        case 0x71:  # variant
            data.each(lambda: _case(data))
        case 0x70 | 0x6B:  # list, option
            _value(data)
        case 0x67:  # list of a fixed length
            _value(data)
            data.u32()
        case 0x6F:  # tuple
            data.each(lambda: _value(data))
        case 0x6E | 0x6D:  # flags, enum
            data.each(data.name)
        case 0x6A:  # result
            _maybe(data)
            _maybe(data)
        case 0x69 | 0x68:  # own, borrow
            data.u32()
        case 0x66 | 0x65:  # stream, future
            _maybe(data)
        case _:
            raise MalformedComponent(f"a type of an unknown form {form:#x}")
