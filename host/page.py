# SPDX-License-Identifier: Apache-2.0
"""Pages of HTML: one look for all, no JavaScript, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import __version__
from .output import percent, thousands


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill a template of this room with `values` and write it to `path`; its folder is made where missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trifactor.host", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(thousands=thousands, percent=percent)
    page = environment.get_template(template).render(version=__version__, **values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
