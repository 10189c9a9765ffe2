"""The documentation's site: `make docs` builds it into docs/_site, any warning being an error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "platform")]

from reference import write_reference  # noqa: E402

import oddsound  # noqa: E402

project = "oddsound"
version = release = oddsound.__version__
extensions = ["myst_nb"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # the outputs are those of `make notebook`
exclude_patterns = ["_site", "jupyter_execute", "results/README.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "oddsound"
html_copy_source = html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["notebook.css"]
templates_path = []
pygments_style = "tango"

_ELSEWHERE = {
    "../mlflow_server/README.md": "tracking_server.md",
    "../README.md": "index.md",
    "../../README.md": "../index.md",
}
"""Links of pages that are also read in the repository, and where they lead on the site."""


def _of_the_site(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == "tracking_server":
        text = (HERE.parent / "mlflow_server" / "README.md").read_text()
        source[0] = re.sub(r"\]\((?!https?:|#|\.\.)", "](../mlflow_server/", text)
    for link, page in _ELSEWHERE.items():
        source[0] = re.sub(rf"\]\({re.escape(link)}(#[^)]*)?\)", rf"]({page}\1)", source[0])


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", lambda _app: write_reference(HERE / "reference"))
    app.connect("source-read", _of_the_site)
