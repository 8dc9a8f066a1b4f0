"""Checks the Swift sources on machines without a Swift compiler.

It checks that the sources parse, and that the generated API has every function and case that they
use, with the same labels. It checks calls on a variable `locket` against the class `Locket`. It does
not check types.

    check_swift.py GENERATED.swift SOURCES...
"""

import pathlib
import re
import sys
from dataclasses import dataclass, field

import tree_sitter_swift
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_swift.language()))
# The types of variables by name. The class `Locket` is not part of the generated API.
OBJECTS = {"engine": "EngineProtocol", "locket": "class Locket"}


@dataclass
class Parameter:
    label: str
    kind: str
    optional: bool


@dataclass
class Type:
    inits: list[list[Parameter]] = field(default_factory=list)
    methods: dict[str, list[Parameter]] = field(default_factory=dict)
    cases: dict[str, list[str]] = field(default_factory=dict)


def nodes(node: Node, *kinds: str):
    if node.type in kinds:
        yield node
    for child in node.children:
        yield from nodes(child, *kinds)


def text(node: Node) -> str:
    return node.text.decode()


def first(node: Node, kind: str) -> Node | None:
    return next((c for c in node.children if c.type == kind), None)


def parameters(declaration: Node) -> list[Parameter]:
    found = []
    children = declaration.children
    for n, child in enumerate(children):
        if child.type == "parameter":
            names = [text(c) for c in child.children if c.type == "simple_identifier"]
            kind = text(child.children[-1]).rstrip("?")
            default = n + 1 < len(children) and children[n + 1].type == "="
            found.append(Parameter(names[0], kind, default))
    return found


def parse(source: str) -> Node:
    return PARSER.parse(source.encode()).root_node


def api(source: str) -> dict[str, Type]:
    """Returns the types of the generated file by name."""
    # Remove attributes and conditions that the grammar does not support.
    tree = parse(re.sub(r"@_documentation\([^)]*\)|#if .*|#endif.*|#else.*", "", source))
    types: dict[str, Type] = {}
    for declaration in nodes(tree, "class_declaration", "protocol_declaration"):
        name = first(declaration, "type_identifier")
        if name is None:
            continue
        made = types.setdefault(text(name), Type())
        body = declaration.children[-1]
        for member in body.children:
            if member.type in ("function_declaration", "protocol_function_declaration"):
                named = first(member, "simple_identifier")
                if named is not None:
                    made.methods.setdefault(text(named).strip("`"), parameters(member))
            elif member.type == "init_declaration":
                made.inits.append(parameters(member))
            elif member.type == "enum_entry":
                for n, child in enumerate(member.children):
                    if child.type == "simple_identifier":
                        after = member.children[n + 1] if n + 1 < len(member.children) else None
                        labels = []
                        if after is not None and after.type == "enum_type_parameters":
                            labels = [text(c) for c in after.children if c.type == "simple_identifier"]
                        made.cases[text(child).strip("`")] = labels
    return types


def labels(call: Node) -> list[str]:
    suffix = first(call, "call_suffix")
    arguments = first(suffix, "value_arguments") if suffix else None
    found = []
    for argument in arguments.children if arguments else []:
        if argument.type == "value_argument":
            label = first(argument, "value_argument_label")
            found.append(text(label) if label else "_")
    return found


def fits(given: list[str], wanted: list[Parameter], trailing: bool) -> bool:
    """Returns whether a call with these labels matches a function with these parameters."""
    rest = list(given)
    for parameter in wanted:
        if rest and rest[0] == parameter.label:
            rest.pop(0)
        elif trailing and parameter is wanted[-1]:
            continue
        elif not parameter.optional:
            return False
    return not rest


def problems(path: str, source: str, types: dict[str, Type]) -> list[str]:
    tree = parse(source)
    found = []

    def wrong(node: Node, what: str) -> None:
        found.append(f"{path}:{node.start_point[0] + 1}: {what}")

    for node in nodes(tree, "ERROR"):
        wrong(node, f"does not parse: {text(node)[:60]!r}")
    for call in nodes(tree, "call_expression"):
        function, given = call.children[0], labels(call)
        suffix = first(call, "call_suffix")
        trailing = suffix is not None and first(suffix, "lambda_literal") is not None
        if function.type == "simple_identifier" and text(function) in types:
            inits = types[text(function)].inits
            if inits and not any(fits(given, wanted, trailing) for wanted in inits):
                wrong(call, f"no initializer {text(function)}({', '.join(given)})")
            for wanted in inits[:1]:
                check_cases(call, wanted, types, wrong)
        elif function.type == "navigation_expression":
            owner, member = text(function.children[0]), text(function.children[-1]).lstrip(".")
            kind = OBJECTS.get(owner.split(".")[-1], owner)
            if kind in types and (member in types[kind].methods or not types[kind].cases):
                methods = types[kind].methods
                if member not in methods:
                    wrong(call, f"{kind} has no {member}")
                elif not fits(given, methods[member], trailing):
                    wrong(call, f"{kind}.{member} does not take ({', '.join(given)})")
    for use in nodes(tree, "navigation_expression"):
        owner, member = text(use.children[0]), text(use.children[-1]).lstrip(".")
        if owner in types and types[owner].cases and member not in types[owner].cases:
            wrong(use, f"{owner} has no case {member}")
    for pattern in re.finditer(r"\b(\w+)\.(\w+)(?:\(|\s*\{)", source):
        owner, member = pattern.groups()
        if owner in types and types[owner].cases and member not in types[owner].cases:
            line = source[: pattern.start()].count("\n") + 1
            found.append(f"{path}:{line}: {owner} has no case {member}")
    return found


def check_cases(call: Node, wanted: list[Parameter], types: dict[str, Type], wrong) -> None:
    """Checks that arguments like `.text` are cases of the parameter's enum."""
    kinds = {p.label: p.kind for p in wanted}
    arguments = first(first(call, "call_suffix"), "value_arguments")
    for argument in arguments.children if arguments else []:
        label = first(argument, "value_argument_label") if argument.type == "value_argument" else None
        value = argument.children[-1] if label else None
        kind = types.get(kinds.get(text(label), "")) if label else None
        if kind and kind.cases and value is not None:
            case = re.match(r"\.(\w+)(?:\((\w+):)?", text(value))
            if case and case[1] not in kind.cases:
                wrong(argument, f"{kinds[text(label)]} has no case {case[1]}")
            elif case and case[2] and case[2] not in kind.cases[case[1]]:
                wrong(argument, f"{kinds[text(label)]}.{case[1]} has no {case[2]}")


def main() -> int:
    generated, *paths = map(pathlib.Path, sys.argv[1:])
    types = api(generated.read_text())
    engine = types["EngineProtocol"].methods
    assert len(engine) >= 15 and types["GenerateRequest"].inits, "the generated file was not understood"
    sources = {str(p): p.read_text() for p in paths}
    wrapper = next(source for path, source in sources.items() if path.endswith("Sources/Locket/Locket.swift"))
    types["class Locket"] = Type(methods=api(wrapper)["Locket"].methods)
    found = [what for path, source in sources.items() for what in problems(path, source, types)]
    everything = "\n".join(sources.values())
    # A compiler would check that every error has a message.
    found += [f"no message for LocketError.{case}" for case in types["LocketError"].cases if f".{case}(let message)" not in everything]
    found += [f"nothing calls Engine.{name}" for name in engine if f"engine.{name}(" not in everything]
    # Verify that the check detects each of these errors.
    for right, broken in [
        ("engine.generate(", "engine.generates("),
        ("request: request, listener: nil, cancellation", "listener: nil, request: request, cancellation"),
        ("GenerateRequest(item:", "GenerateRequest(items:"),
        ("task: .text", "task: .texts"),
        (".available(neededBytes:", ".available(bytes:"),
        ("LocketError.WouldNotFit", "LocketError.TooLarge"),
        ("locket.record(mine)", "locket.recorded(mine)"),
        ("locket.sent(mine, from: draft)", "locket.sent(draft, mine)"),
        ("public func close() async {", "public func close() async {{"),
    ]:
        assert right in everything, right
        spoiled = [p for path, s in sources.items() for p in problems(path, s.replace(right, broken), types)]
        assert spoiled, f"{broken!r} went through"
    for what in found:
        print(what)
    print(f"{len(sources)} Swift files parse and match the generated API ({len(types)} types)" if not found else "")
    return bool(found)


sys.exit(main())
