"""Charts as inline SVG, made when the site is built: no script draws them, and print and dark mode get them too."""

from leaderboard.charts.composition import composition
from leaderboard.charts.drawing import Chart
from leaderboard.charts.history import history
from leaderboard.charts.losses import losses
from leaderboard.charts.panels import ranking_panels, style_panels
from leaderboard.charts.plane import plane

__all__ = ["Chart", "composition", "history", "losses", "plane", "ranking_panels", "style_panels"]
