#!/usr/bin/env python3
"""Fails on a cycle between the top modules of a crate, or between the files of a Python package.

    structure.py [--graph] [--files] [--public]

--graph prints the imports of every top module. --files also reports cycles between the files of a
crate. A name that a `mod.rs` re-exports counts as an import of the file that defines it. Test code
does not count.
"""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CRATES = ["core", "import", "bindings/uniffi", "tools/builder", "tools/cli", "tools/eval"]
PACKAGES = ["tools/spark/locket_spark", "bindings/python/src/locket"]
USE = re.compile(r"^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);", re.M)
INLINE = re.compile(r"\b(?:crate|super)(?:::\w+)+")

Module = tuple[str, ...]


def code(path: pathlib.Path) -> str:
    """Returns a file's code without comments and test modules."""
    text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
    text = re.sub(r"#\[cfg\((?:test|fuzzing)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?mod \w+;", "", text)
    text = re.sub(r"#\[cfg\((?:test|fuzzing)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))? )?mod \w+ \{.*?\n\}", "", text, flags=re.S)
    return re.sub(r"#\[cfg\(test\)\]\s*use [^;]+;", "", text)


def leaves(tree: str) -> list[list[str]]:
    """Returns the paths of a `use` tree, each as a list of segments."""
    tree = tree.strip()
    group = re.match(r"^((?:\w+::)*)\{(.*)\}$", tree, re.S)
    if not group:
        return [tree.split(" as ")[0].strip().split("::")]
    before = [part for part in group.group(1).split("::") if part]
    parts, depth, part = [], 0, ""
    for character in group.group(2) + ",":
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    return [before + leaf for part in parts if part.strip() for leaf in leaves(part)]


class Crate:
    def __init__(self, source: pathlib.Path) -> None:
        self.files: dict[Module, pathlib.Path] = {}
        tests = set()
        for path in sorted(source.rglob("*.rs")):
            parts = list(path.relative_to(source).with_suffix("").parts)
            if parts[-1] in ("mod", "lib", "main"):
                parts.pop()
            self.files[tuple(parts)] = path
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"#\[cfg\((?:test|fuzzing)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?mod (\w+);", text):
                tests.add(tuple([*parts, name]))
        self.files = {m: p for m, p in self.files.items() if not any(m[: len(t)] == t for t in tests)}
        self.files.pop(("internals",), None)
        self.reexports: dict[Module, dict[str, Module]] = {}
        for module in self.files:
            self.reexports[module] = self.exported(module)

    def absolute(self, module: Module, path: list[str]) -> list[str] | None:
        """Returns a path relative to the crate's root, or None for a path outside the crate."""
        if path[0] == "crate":
            return path[1:]
        here = list(module)
        if path[0] == "super":
            while path and path[0] == "super":
                here, path = here[:-1], path[1:]
            return here + path
        if path[0] == "self":
            return here + path[1:]
        return here + path if (*module, path[0]) in self.files else None

    def exported(self, module: Module) -> dict[str, Module]:
        names = {}
        for public, tree in USE.findall(code(self.files[module])):
            for path in leaves(tree) if public else []:
                found = self.absolute(module, list(path))
                if found:
                    names[found[-1]] = tuple(found[:-1])
        return names

    def defined_in(self, path: list[str]) -> Module | None:
        """Returns the module that an absolute path refers to."""
        module: Module = ()
        for at, name in enumerate(path):
            if (*module, name) in self.files:
                module = (*module, name)
                continue
            seen = set()
            while name in self.reexports.get(module, {}) and module not in seen:
                seen.add(module)
                module = self.reexports[module][name]
                if (*module, name) in self.files:
                    module = (*module, name)
                    break
            break
        return module if module in self.files else None

    def imports(self) -> dict[Module, set[Module]]:
        graph: dict[Module, set[Module]] = {}
        for module, file in self.files.items():
            text = code(file)
            paths = [path for public, tree in USE.findall(text) if not (public and file.name in ("mod.rs", "lib.rs")) for path in leaves(tree)]
            paths += [match.split("::") for match in INLINE.findall(USE.sub("", text))]
            found = (self.absolute(module, list(path)) for path in paths)
            targets = {self.defined_in(path) for path in found if path}
            graph[module] = {t for t in targets if t is not None and t != module}
        return graph


def python(folder: pathlib.Path) -> dict[Module, set[Module]]:
    files = {(p.stem,): p for p in folder.glob("*.py")}
    graph = {}
    for module, path in files.items():
        text = path.read_text(encoding="utf-8")
        names = set(re.findall(r"^\s*from \.(\w+) import", text, re.M))
        names |= {n for line in re.findall(r"^\s*from \. import ([^\n]+)", text, re.M) for n in re.findall(r"\w+", line)}
        graph[module] = {(n,) for n in names if (n,) in files and (n,) != module}
    return graph


def cycles(graph: dict[Module, set[Module]]) -> list[list[Module]]:
    """Returns the strongly connected components of two or more modules (Tarjan, 1972)."""
    index: dict[Module, int] = {}
    low: dict[Module, int] = {}
    stack: list[Module] = []
    found = []

    def visit(node: Module) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = []
            while True:
                component.append(stack.pop())
                if component[-1] == node:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    sys.setrecursionlimit(10_000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def folded(graph: dict[Module, set[Module]]) -> dict[Module, set[Module]]:
    """Returns the graph between the crate's top modules."""
    tops: dict[Module, set[Module]] = {}
    for module, targets in graph.items():
        top = tops.setdefault(module[:1], set())
        top |= {t[:1] for t in targets if t[:1] != module[:1]}
    return tops


def public() -> list[str]:
    """The names at the root of the crate `locket`."""
    text = code(ROOT / "core/src/lib.rs")
    names = [tree for visible, tree in USE.findall(text) if visible == "pub "]
    renamed = re.compile(r"(\w+) as (\w+)")
    found = [leaf for tree in names for leaf in re.sub(r"[{},\s]+", " ", renamed.sub(r"\2", tree)).split()]
    aliases = re.findall(r"^pub type (\w+)", text, re.M)
    return sorted({name.split("::")[-1] for name in found if not name.endswith("::")} | set(aliases))


def main() -> int:
    if "--public" in sys.argv:
        print("\n".join(public()))
        return 0
    wrong = 0
    graphs = []
    for crate in CRATES:
        graph = Crate(ROOT / crate / "src").imports()
        # Exclude the crate's root: it re-exports names and declares modules.
        graph.pop((), None)
        graph = {m: {t for t in targets if t} for m, targets in graph.items()}
        graphs.append((crate, "module", folded(graph)))
        if "--files" in sys.argv:
            graphs.append((crate, "file", graph))
    graphs += [(package, "file", python(ROOT / package)) for package in PACKAGES]
    for crate, kind, graph in graphs:
        if "--graph" in sys.argv and kind == "module":
            for module, targets in sorted(graph.items()):
                print(f"{crate}: {'::'.join(module)} -> {', '.join(sorted('::'.join(t) for t in targets))}")
        for cycle in cycles(graph):
            wrong += 1
            print(f"{crate}: a cycle between {kind}s:")
            for module in cycle:
                into = sorted("::".join(t) for t in graph[module] if t in cycle)
                print(f"    {'::'.join(module)} imports {', '.join(into)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
