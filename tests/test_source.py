"""The rules that keep the sources readable, checked on the sources themselves.

The layers of the core, and the order in which its parts may call each other, are read from
the table of contents, `src/_fastpool.pyx`; each part's header must say the same.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "src" / "_fastpool"
CONTENTS = ROOT / "src" / "_fastpool.pyx"
PACKAGE = ROOT / "src" / "pool"

LINE_LIMIT = 100
FUNCTION_LIMIT = 60
PART_LIMIT = 400

INCLUDE = re.compile(r'^include "_fastpool/(?P<part>\w+)\.pxi"\s+# (?P<layer>\d)')
FUNCTION = re.compile(
    r"^(?P<indent> *)(?:cdef|cpdef|def)\s+(?!class\b)(?P<rest>[^=]*?\b(?P<name>\w+)\s*\(.*)"
)
WITHOUT_PYTHON = {0, 2, 3, 4}  # the layers that run without the GIL and without exceptions
SYSCALL_PARTS = {"tcp", "event", "system"}  # system only declares them
SYSCALLS = re.compile(
    r"(?<![\w.])(?:fp_(?:send\w*|recv\w*|poll\w*|epoll\w*|connect\w*|accept\w*|close\w*)|send|sendto"
    r"|sendmsg|writev|recv|recvfrom|recvmsg|poll|ppoll|select|epoll_\w+|kevent|connect|accept4?"
    r"|socket|shutdown|setsockopt|getsockopt|fcntl|ioctl)\s*\("
)
ATOMICS = re.compile(r"\b__atomic_\w+|\b__sync_\w+|\batomic_\w+|\bstdatomic\b|\blibcpp\.atomic\b")


def without_comments(source: str) -> str:
    """Source with comments and string literals blanked; line numbers stay."""
    pattern = re.compile(
        r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#[^\n]*", re.S
    )
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    length: int
    signature: str


@dataclass(frozen=True)
class Part:
    name: str
    layer: int
    order: int

    @property
    def path(self) -> Path:
        return CORE / f"{self.name}.pxi"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def code(self) -> str:
        return without_comments(self.text)

    @cached_property
    def functions(self) -> list[Function]:
        return list(functions_of(self.code))

    def __str__(self) -> str:
        return self.name


def _signature(lines: list[str], start: int) -> str:
    """A definition's head, which may span lines; '' for what only declares."""
    joined = ""
    for line in lines[start : start + 12]:
        joined += " " + line.strip()
        if joined.count("(") <= joined.count(")"):
            return joined.strip() if joined.rstrip().endswith(":") else ""
    return ""


def functions_of(code: str) -> Iterator[Function]:
    lines = code.split("\n")
    for start, line in enumerate(lines):
        found = FUNCTION.match(line)
        signature = _signature(lines, start) if found else ""
        if not found or not signature:
            continue
        end = start + 1
        indent = len(found["indent"])
        for number in range(start + 1, len(lines)):
            text = lines[number]
            if not text.strip():
                continue
            if len(text) - len(text.lstrip()) <= indent and not text.lstrip().startswith(")"):
                break
            end = number + 1
        yield Function(found["name"], start + 1, end - start, signature)


def parts() -> list[Part]:
    if not CONTENTS.exists():  # the tests of an installed wheel
        return []
    found = map(INCLUDE.match, CONTENTS.read_text(encoding="utf-8").splitlines())
    return [
        Part(match["part"], int(match["layer"]), order)
        for order, match in enumerate(filter(None, found))
    ]


PARTS = parts()
MODULES = sorted(PACKAGE.rglob("*.py")) if PARTS else []
SOURCES = [part.path for part in PARTS] + ([CONTENTS] if PARTS else []) + MODULES
each_part = pytest.mark.parametrize("part", PARTS, ids=str)
each_module = pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
pytestmark = pytest.mark.skipif(not PARTS, reason="needs a source tree")


def complaints(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_contents_name_every_part() -> None:
    assert {part.path for part in PARTS} == set(CORE.glob("*.pxi"))
    for line in without_comments(CONTENTS.read_text()).splitlines():
        assert not line.strip() or line.split()[0] in ("include", "cimport"), line


def test_layout_speaks_of_functions_that_there_are() -> None:
    core = "\n".join(part.code for part in PARTS)
    names = set(re.findall(r"\b(?:class|def|cdef|cpdef|property)\b[^(:=\n]*?\b(\w+)[(:]", core))
    names.update(re.findall(r"^    cdef (?:public |readonly )?\w+ (\w+)", core, re.MULTILINE))
    patterns = re.findall(r"\.text\.__pyx_([^\s)]+)", (CORE / "layout.ld").read_text())
    assert len(patterns) > 50
    unknown = []
    for pattern in patterns:
        name = re.split(r"\*_?(?:fastpool_|\[0-9\])?", pattern.rstrip("*"))[-1]
        method = re.fullmatch(r"([A-Z][A-Za-z]+)_(\w*)", name)
        wanted = {method[1], re.sub(r"\d_", "", method[2])} if method else {name}
        unknown += [pattern] * (not wanted - {""} <= names)
    complaints(unknown)


def test_layers_stand_in_order() -> None:
    layers = [part.layer for part in PARTS]
    assert layers == sorted(layers)


@each_part
def test_part_opens_with_what_it_owns(part: Part) -> None:
    header = re.match(r"(?:#[^\n]*\n)+", part.text)
    assert header, "no header comment"
    assert "Calls" in header[0] or "Owns" in header[0] or "owns" in header[0] or part.layer == 0
    said = re.match(r"# Layer (\d)", header[0])
    if said:
        assert int(said[1]) == part.layer, "the header names another layer than the contents"


@each_part
def test_part_calls_only_what_comes_before_it(part: Part) -> None:
    """Lower layers, and earlier parts of its own layer."""
    later = {
        function.name: other.name
        for other in PARTS
        if other.order > part.order
        for function in other.functions
    }
    later = {name: owner for name, owner in later.items() if not name.startswith("__")}
    own = {function.name for function in part.functions}
    found = []
    for number, line in enumerate(part.code.splitlines(), 1):
        for name in re.findall(r"(?<![\w.])(\w+)\s*\(", line):
            if name in later and name not in own:
                found.append(f"{part.path.name}:{number}: {name}() of {later[name]}.pxi")
    complaints(found)


@each_part
def test_lower_layers_know_no_python(part: Part) -> None:
    if part.layer not in WITHOUT_PYTHON:
        pytest.skip("the layers with Python")
    banned = re.compile(r"\bwith gil\b|^\s*(?:raise|import|from \w+ import|try:|except)\b", re.M)
    found = [
        f"{part.path.name}:{part.code[: match.start()].count(chr(10)) + 1}: {match[0].strip()}"
        for match in banned.finditer(part.code)
    ]
    for function in part.functions:
        signature = function.signature
        if "noexcept nogil" not in signature or re.search(r"\bobject\b", signature):
            found.append(f"{part.path.name}:{function.line}: {signature}")
        if not signature.startswith("cdef"):
            found.append(f"{part.path.name}:{function.line}: a Python function")
    complaints(found)


@each_part
def test_python_exceptions_are_raised_in_layers_1_and_5(part: Part) -> None:
    imports = re.findall(r"^\s*(?:from|import) .*", part.code, re.M)
    if part.name != "pyobjects":
        complaints([line for line in imports if re.search(r"\bpool\b", line)])
    if part.layer == 5:
        assert not re.search(r"\bwith gil\b", part.code)


@each_part
def test_syscalls_only_in_the_socket_parts(part: Part) -> None:
    if part.name in SYSCALL_PARTS:
        pytest.skip("a socket part")
    lines = part.code.splitlines()
    complaints(
        [
            f"{part.path.name}:{number}: {line.strip()}"
            for number, line in enumerate(lines, 1)
            if SYSCALLS.search(line) and not re.match(r"\s*(?:cp?def|def)\b", line)
        ]
    )


@each_part
def test_atomics_only_through_their_part(part: Part) -> None:
    if part.name != "atomics":
        assert not ATOMICS.search(part.code)
        assert "atomics.h" not in part.text.split("\n\n", 1)[-1]


@each_part
def test_part_length(part: Part) -> None:
    assert part.text.count("\n") <= PART_LIMIT


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_line_length(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    complaints(
        [f"{path.name}:{number}" for number, line in enumerate(lines, 1) if len(line) > LINE_LIMIT]
    )


@each_part
def test_function_length_of_the_core(part: Part) -> None:
    complaints(
        [
            f"{part.path.name}:{function.line} {function.name}: {function.length} lines"
            for function in part.functions
            if function.length > FUNCTION_LIMIT
        ]
    )


@each_module
def test_function_length_of_the_package(module: Path) -> None:
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    found = []
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # The frame of a signature that urllib3 fixes and the docstring are no logic.
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            body = node.body[1:] if documented and len(node.body) > 1 else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1
            if length > FUNCTION_LIMIT:
                found.append(f"{module.name}:{node.lineno} {node.name}: {length} lines")
    complaints(found)


@each_module
def test_module_says_what_it_is(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree), "no module docstring"


@each_module
def test_package_uses_public_names_of_the_core(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1] == "_fastpool"
        for alias in node.names
    ]
    complaints([name for name in names if name.startswith("_")])


@each_module
def test_no_unexplained_lint_exception(module: Path) -> None:
    """`noqa` and `type: ignore` name the rule that they switch off."""
    found = []
    source = module.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if re.search(r"\bnoqa(?!: ?[A-Z])|type: ?ignore(?!\[)", token.string):
            found.append(f"{module.name}:{token.start[0]}: {token.string}")
    complaints(found)


def test_nothing_names_the_machine() -> None:
    """No path of the machine that the tests run on."""
    here = {str(ROOT), str(Path.home())} - {"/"}
    pattern = re.compile("|".join(re.escape(path) + "/" for path in sorted(here)))
    found = []
    for folder in ("src", "tests", "docs", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".pxi", ".pyx", ".pyi", ".md", ".h"}:
                text = path.read_text(encoding="utf-8")
                found += [
                    f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)
                ]
    complaints(found)
