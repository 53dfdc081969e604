"""Every kind that the code makes has a text, every text is used, and the figures of both agree.

A kind is written out where a message is made, or begins with what is (`message(f"placement.{code}")`).
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ravada_web
from ravada_web.messages.marks import Plural, Template
from ravada_web.messages.message import SENTENCES, TEXT
from ravada_web.messages.texts import TEXTS, TOPICS

ROOT = Path(ravada_web.__file__).parent.parent
KIND = re.compile(r"[a-z_]+\.[a-z0-9_]+")
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%|(%)")


@dataclass
class Use:
    """One place where a message is made: its kind, or what that begins with, and the names of its figures."""

    place: str
    kind: str
    whole: bool
    figures: set[str] | None


def sources() -> list[Path]:
    return [*(ROOT / "ravada_web").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]


def uses() -> Iterator[Use]:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "message":
                yield _use(f"{path.relative_to(ROOT)}:{node.lineno}", node)


def _use(place: str, call: ast.Call) -> Use:
    names = [keyword.arg for keyword in call.keywords]
    figures = None if None in names else {name for name in names if name}
    match call.args[0] if call.args else None:
        case ast.Constant(value=str(kind)):
            return Use(place, kind, True, figures)
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            return Use(place, start, False, figures)
    raise AssertionError(f"{place}: the kind of a message is written out, or its beginning is")


def placeholders(template: Template) -> set[str]:
    texts = template if isinstance(template, Plural) else (template,)
    return {name for text in texts for name, _bad in PLACEHOLDER.findall(text) if name}


def test_every_kind_that_is_made_has_a_text() -> None:
    missing = [
        f"{use.place}: {use.kind}"
        for use in uses()
        if (use.kind not in TEXTS if use.whole else not any(kind.startswith(use.kind) for kind in TEXTS))
    ]
    assert not missing, "\n".join(missing)


def test_every_text_is_used() -> None:
    whole = {use.kind for use in uses() if use.whole}
    starts = tuple(use.kind for use in uses() if not use.whole)
    assert sorted(kind for kind in TEXTS if kind not in whole and not kind.startswith(starts)) == []


def test_the_figures_that_are_given_are_those_of_the_text() -> None:
    wrong = []
    for use in uses():
        if use.whole and use.figures is not None and (template := TEXTS.get(use.kind)) is not None:
            known = placeholders(template) | ({"count"} if isinstance(template, Plural) else set())
            if use.figures != known:
                wrong.append(f"{use.place}: {use.kind}: {sorted(use.figures ^ known)}")
    assert not wrong, "\n".join(wrong)


def test_a_text_has_no_other_placeholders() -> None:
    for kind, template in TEXTS.items():
        for text in template if isinstance(template, Plural) else (template,):
            assert not [bad for _name, bad in PLACEHOLDER.findall(text) if bad], kind


def test_a_kind_stands_in_the_file_that_it_is_named_after() -> None:
    for topic in TOPICS:
        name = topic.__name__.rpartition(".")[2]
        for kind in topic.TEXTS:
            assert KIND.fullmatch(kind) and kind.startswith(f"{name}."), kind
    assert sum(len(topic.TEXTS) for topic in TOPICS) == len(TEXTS) and not {TEXT, SENTENCES} & set(TEXTS)
