"""Says which links of a folder of HTML pages lead nowhere, pictures and anchors included.

Usage: links.py FOLDER
"""

import pathlib
import sys
import urllib.parse
from html.parser import HTMLParser


class Page(HTMLParser):
    """The links of a page, and the places in it that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.update(attributes.get(name) for name in ("id", "name"))
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]


folder = pathlib.Path(sys.argv[1]).resolve()
pages = {path: Page(path) for path in folder.rglob("*.html")}
broken, tried = [], 0
for path, page in pages.items():
    # It stands for a page at any depth, and is told the site's root when it is put there.
    if path.name == "404.html":
        continue
    for link in page.links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        tried += 1
        target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        inside = target == folder or folder in target.parents
        there = inside and target.is_file()
        if there and target in pages:
            there = urllib.parse.unquote(parts.fragment) in pages[target].places
        if not there:
            broken.append(f"{path.relative_to(folder)}: {link}")
print("\n".join(sorted(set(broken))), file=sys.stderr)
print(f"figure links_checked {tried} count")
sys.exit(1 if broken else 0)
