"""A board -> the files that people see. One module a kind of page; a page says what it depends on before it is made."""

from leaderboard.pages.all import site_pages

__all__ = ["site_pages"]
