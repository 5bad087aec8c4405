"""The site: `sphinx-build -W --keep-going -b html docs docs/_build/html`, without network.

The pages are plain Markdown that reads the same on a Git host. Two small extensions beside this file do the
rest: `mathml` writes the equations as MathML, `outline` makes the sidebar from the tables of index.md and turns
links to files that are no pages into their names.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "promptkit"
version = release = runpy.run_path(str(HERE.parent / "promptkit" / "version.py"))["__version__"]
extensions = ["myst_parser", "mathml", "outline"]
exclude_patterns = ["_build", "examples", "tables"]

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
highlight_language = "none"

html_theme = "furo"
html_title = f"promptkit {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
