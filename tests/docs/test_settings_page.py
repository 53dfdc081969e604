"""docs/settings.md and the Settings class name the same settings with the same defaults."""

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ravada_web.config import Settings
from tests.docs import markdown


def shown(default: Any) -> str:
    """A default as the page shows it; nothing for what is empty."""
    if default is None or default == "" or default == SecretStr(""):
        return ""
    if isinstance(default, str | Path):
        return f"`{default}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{json.dumps(default)}`"


def test_the_page_has_every_setting_with_its_default() -> None:
    text = (markdown.ROOT / "docs" / "settings.md").read_text()
    page = {variable.strip("`"): default for variable, default, _meaning in markdown.rows(text)}
    code = {
        f"RAVADA_{name.upper()}": shown(field.get_default(call_default_factory=True))
        for name, field in Settings.model_fields.items()
    }
    assert page == code
