"""Reads a page as a browser's parser would see it, for the board's tests."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "br", "input", "hr"}
DRAWN = {"rect", "path", "line", "circle"}  # SVG closes these in themselves


class Page(HTMLParser):
    """Collects tags with their attributes, links, ids and text; demands that every tag is closed in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.links, self.ids, self.words = [], [], [], [], []
        self.feed(Path(path).read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag  # the policy forbids it
            if name in ("href", "src"):
                self.links.append(value)
            if name == "srcset":
                self.links += [one.split()[0] for one in value.split(",")]
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attributes):
        assert tag in DRAWN
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **wanted):
        """Attributes of every such tag."""
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key.rstrip("_")) == value for key, value in wanted.items())
        ]

    @property
    def text(self):
        return " ".join("".join(self.words).split())
