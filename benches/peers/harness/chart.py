"""Charts as SVG, by a few lines of its own: panels of horizontal bars, the least on top."""

import statistics
from html import escape

from . import scenarios

# One colour for what is ours, one for the rest; both readable on white and on black.
OURS, OTHERS, TEXT = "#d9822b", "#5b8db8", "#7d8590"
WIDTH, BAR, GAP, NAMES, COLUMNS = 440, 16, 4, 140, 2


def panel(title, unit, rows, x, y):
    """The elements of one panel, and its height. `rows`: (name, median, least), from the least."""
    # Whoever needs many times as much as most would flatten all others: its bar is cut, and says so.
    most = min(rows[-1][1], 5 * statistics.median(value for _, value, _ in rows)) or 1
    room = WIDTH - NAMES - 90
    parts = [f'<text x="{x}" y="{y + 14}" class="title">{escape(title)}</text>',
             f'<text x="{x}" y="{y + 30}">{escape(unit)}; the line is the least of all rounds</text>']
    top = y + 40
    for index, (name, value, least) in enumerate(rows):
        at = top + index * (BAR + GAP)
        long = max(1.0, room * min(1, value / most))
        mark = x + NAMES + room * min(1, least / most)
        colour = OURS if name.startswith("portcullis") else OTHERS
        shown = ("» " if value > most else "") + (f"{value:,.0f}" if value >= 100 else f"{value:.3g}")
        parts += [f'<text x="{x + NAMES - 6}" y="{at + 12}" text-anchor="end">{escape(name)}</text>',
                  f'<rect x="{x + NAMES}" y="{at}" width="{long:.1f}" height="{BAR}" fill="{colour}"/>',
                  f'<path d="M{mark:.1f} {at}v{BAR}" stroke="{TEXT}" stroke-width="2"/>',
                  f'<text x="{x + NAMES + long + 6:.1f}" y="{at + 12}">{shown}</text>']
    return parts, 40 + len(rows) * (BAR + GAP) + 24


def draw(panels, path):
    """Writes panels in columns, row by row."""
    parts, y = [], 10
    for start in range(0, len(panels), COLUMNS):
        heights = []
        for column, (title, unit, rows) in enumerate(panels[start:start + COLUMNS]):
            drawn, height = panel(title, unit, rows, 10 + column * WIDTH, y)
            parts += drawn
            heights.append(height)
        y += max(heights)
    style = (f"text{{font:12px sans-serif;fill:{TEXT}}}.title{{font-weight:bold;font-size:14px}}")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * WIDTH + 20}" height="{y}"><style>{style}</style>'
    path.write_text("\n".join([head, *parts, "</svg>"]) + "\n")


def rows_of(results, scenario, name, scale=1.0):
    found = [(peer, row[name] * scale, row[f"{name}_min"] * scale)
             for peer, row in results.summary(scenario.name).items() if row.get(name) is not None]
    return sorted(found, key=lambda row: row[1])


# File, title, kind of scenario, field, unit, factor.
CHARTS = [
    ("cpu.svg", "Processor time", "load", "cpu_us", "µs of processor a {unit}", 1.0),
    ("p99.svg", "Latency", "load", "p99", "99th percentile, ms", 1e-3),
    ("idle.svg", "Memory of idle connections", "idle", "per_connection", "KiB a connection", 1 / 1024),
    ("change.svg", "A change under load", "change", "effective_ms", "ms until it is in force", 1.0),
]


def everything(results, folder):
    """Draws what there are results for, and says file and title of each."""
    drawn = []
    for name, title, kind, field, unit, scale in CHARTS:
        panels = []
        for scenario in scenarios.ALL:
            rows = rows_of(results, scenario, field, scale) if scenario.kind == kind else []
            if rows:
                panels.append((scenario.title, unit.format(unit=scenario.unit), rows))
        if panels:
            draw(panels, folder / name)
            drawn.append((name, title))
    return drawn
