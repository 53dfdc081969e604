"""The languages and their catalogues (GNU gettext); `make translations` brings these up to date.

A catalogue is read as it is written (.po), so nothing has to be compiled before the product runs.
"""

from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask_babel import Domain, get_locale

FOLDER = Path(__file__).parent
# Each by its own name.
LANGUAGES = {"en": "English", "es": "Español"}


def catalogue(language: str) -> Path:
    """The file of a language; English, in which the texts are written, has none."""
    return FOLDER / language / "LC_MESSAGES" / "messages.po"


class Catalogues(Domain):
    """The translations of the reader's language, each catalogue read once a process."""

    def get_translations(self) -> NullTranslations:
        """Returns those of the reader's language."""
        language = getattr(get_locale(), "language", "en")
        if language not in self.cache:
            self.cache[language] = _read(catalogue(language))
        return self.cache[language]


def _read(path: Path) -> NullTranslations:
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as written:
        catalog = read_po(written)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)
