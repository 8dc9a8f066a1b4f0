"""Removes personal data and boilerplate from public texts, by the rules file of
`tools/builder/src/pack/clean.rs`."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from importlib import resources

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

KINDS = ("mails", "phones", "links", "accounts", "addresses", "markup", "promotions", "answers")
"""Kinds of removals, in the order of the counts."""
SENTENCE = 160
"""Maximum length of a sentence that is removed as a whole, in characters."""
ENTITY = re.compile("&(?:#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,7}));")
DIGIT = re.compile("[0-9]")
ENDS = ".!?。！？।"
BEFORE_SPACE = ".!?"


@dataclass(frozen=True)
class Rule:
    kind: str
    needs: tuple[str, ...]
    action: str
    least: int
    most: int
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Rules:
    rules: list[Rule] = field(default_factory=list)
    entities: dict[str, str] = field(default_factory=dict)
    sites: set[str] = field(default_factory=set)


@functools.cache
def rules() -> Rules:
    """Returns the engine's rules."""
    found = Rules()
    # The package may be a ZIP file on the cluster.
    for line in resources.files(__package__).joinpath("clean.tsv").read_text(encoding="utf-8").splitlines():
        match line.split("\t"):
            case ["rule", kind, needs, action, digits, pattern]:
                least, most = (0, 1 << 30) if digits == "-" else map(int, digits.split("-"))
                found.rules.append(Rule(kind, tuple(needs.split("|")), action, least, most, re.compile(pattern)))
            case ["entity", name, character]:
                found.entities[name] = character
            case ["site", name]:
                found.sites.add(name)
    return found


def clean(text: str, counts: list[int]) -> str | None:
    """Returns `text` (on one line) without personal data, markup, promotions and sellers' answers.

    Returns None if the text was only an answer. Adds to `counts`, by `KINDS`.
    """
    known = rules()
    original = text
    for _ in range(2):
        if "&" in text:
            text = ENTITY.sub(lambda m: decoded(m, known, counts), text)
    for rule in known.rules:
        if rule.kind == "tidy" and text == original:
            break
        if not needed(rule, text, text.lower()):
            continue
        text, answered = apply(rule, text, known, counts)
        if answered and not text:
            return None
    return text


def decoded(m: re.Match[str], known: Rules, counts: list[int]) -> str:
    decimal, hexadecimal, name = m.groups()
    if name is not None:
        character = known.entities.get(name)
    else:
        number = int(decimal) if decimal is not None else int(hexadecimal, 16)
        character = chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else None
        if number < 0x20 or 0x7F <= number < 0xA0:
            character = " " if number else None
    if character is None:
        return m[0]
    counts[KINDS.index("markup")] += 1
    return character


def needed(rule: Rule, text: str, lower: str) -> bool:
    """Returns whether a rule can apply. A search for strings is cheaper than one for patterns."""
    return any(need == "-" or (DIGIT.search(text) is not None if need == "#" else need in lower) for need in rule.needs)


def apply(rule: Rule, text: str, known: Rules, counts: list[int]) -> tuple[str, bool]:
    """Returns the text after one rule, and whether the rule removed the rest of it."""
    at = 0
    while m := rule.pattern.search(text, at):
        start, end = m.span()
        if not fits(rule, m, known):
            at = end
            continue
        if rule.kind != "tidy":
            counts[KINDS.index(rule.kind)] += 1
        filling = ""
        if rule.action == "rest":
            return text[:start].rstrip(" "), True
        if rule.action == "space":
            filling = " "
        elif rule.action == "group":
            filling = m[1]
        elif rule.action == "sentence":
            start, end = sentence(text, start, end)
        text = text[:start] + filling + text[end:]
        at = start + len(filling)
    return text, False


def fits(rule: Rule, m: re.Match[str], known: Rules) -> bool:
    """Returns whether a match counts: personal data does not begin or end within a word or a
    number."""
    if rule.action not in ("sentence", "site"):
        return True
    text, (start, end) = m.string, m.span()
    if touches(text[start - 1 : start]) or touches(text[end : end + 1]):
        return False
    if rule.kind in ("phones", "accounts") and text[start - 1 : start] in tuple("$€£#.,/-"):
        return False
    if rule.action == "site" and m[0].lower().removesuffix(".com").removesuffix(".de") in known.sites:
        return False
    digits = sum("0" <= c <= "9" for c in m[0])
    return rule.least <= digits <= rule.most


def touches(beside: str) -> bool:
    return beside.isascii() and beside.isalnum()


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the sentence that contains `start..end`, with the space after it.

    Returns just `start..end` if the sentence is too long.
    """
    first = 0
    for at in range(start - 1, -1, -1):
        if text[at] in ENDS and (text[at] not in BEFORE_SPACE or text[at + 1 : at + 2] == " "):
            first = at + 1
            break
    while text[first : first + 1] == " ":
        first += 1
    first = min(first, start)
    last = len(text)
    for at in range(end, len(text)):
        if text[at] in ENDS and (text[at] not in BEFORE_SPACE or text[at + 1 : at + 2] in (" ", "")):
            last = at + 1
            break
    if last - first > SENTENCE:
        return start, end
    while text[last : last + 1] == " ":
        last += 1
    return first, last


CLEAN = T.StructType(
    [T.StructField("title", T.StringType()), T.StructField("text", T.StringType()), T.StructField("counts", T.ArrayType(T.LongType()))]
)


def cleaned(title: str, text: str) -> Column:
    """Returns title and text of public texts, cleaned, and the counts by `KINDS`.

    Without a text, the title stays unchanged and the counts are zero.
    """

    def both(title: str, text: str | None) -> tuple[str, str | None, list[int]]:
        counts = [0] * len(KINDS)
        if text is None:
            return title, None, counts
        return clean(title, counts) or "", clean(text, counts), counts

    return F.udf(both, CLEAN)(title, text)


def counted(rows: DataFrame, counts: str) -> dict[str, int]:
    """Returns the sums of a column of counts, by kind."""
    sums = rows.select(*(F.coalesce(F.sum(F.col(counts)[n]), F.lit(0)).alias(kind) for n, kind in enumerate(KINDS))).first()
    return sums.asDict()
