"""`make translations`: gather the texts of the code and the pages, bring the catalogues up to date, and say how much
of each language is there."""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from ravada_web.translations import LANGUAGES, catalogue

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS = [("ravada_web/**.py", "python"), ("jobs/**.py", "python"), ("templates/**.html", "jinja2")]
HEADER = "# `make translations` keeps the texts up to date; what stands in msgstr is written by people."
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "_l": None,
    "gettext": None,
    "lazy_gettext": None,
    "say": None,
    "later": None,
    "N_": None,
    "ngettext": (1, 2),
    "Plural": (1, 2),
}


def gathered() -> Catalog:
    """All texts of the product, each with the places where it stands."""
    template = Catalog(project="Ravada Web", charset="utf-8", fuzzy=False)
    for path, line, text, comments, context in _extracted():
        template.add(text, locations=[(path, line)], auto_comments=comments, context=context)
    return template


def _extracted() -> Iterator[tuple[str, int, str | tuple[str, ...], list[str], str | None]]:
    for folder in ("ravada_web", "jobs", "templates"):
        methods = [(pattern.removeprefix(f"{folder}/"), method) for pattern, method in METHODS]
        for path, *rest in extract_from_dir(ROOT / folder, methods, {"**": {"trimmed": "true"}}, KEYWORDS):
            yield (f"{folder}/{path}", *rest)


def update(language: str, texts: Catalog) -> Catalog:
    """Bring a language's catalogue to these texts: new ones come untranslated, those that are gone go."""
    path = catalogue(language)
    if path.exists():
        with path.open("rb") as written:
            messages = read_po(written, locale=language)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        messages = Catalog(locale=language, project="Ravada Web", fuzzy=False)
    begun = messages.creation_date
    messages.update(texts, no_fuzzy_matching=True)
    messages.obsolete.clear()
    # A catalogue whose texts have not changed is the same file.
    messages.creation_date, messages.header_comment = begun, HEADER
    with path.open("wb") as written:
        write_po(written, messages, width=120, sort_by_file=True, include_lineno=False, omit_header=False)
    return messages


def share(messages: Catalog) -> tuple[int, int]:
    """How many of its texts a catalogue translates, and how many there are."""
    texts = [entry for entry in messages if entry.id]
    return sum(bool(entry.string) and all(entry.string) for entry in texts), len(texts)


def main() -> None:
    """Update every language and print what is there of it."""
    texts = gathered()
    for language in LANGUAGES:
        if language != "en":
            done, total = share(update(language, texts))
            print(f"{language}: {done:,} of {total:,} ({100 * done // total} %)")


if __name__ == "__main__":
    main()
