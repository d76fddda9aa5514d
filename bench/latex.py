"""A table as LaTeX that compiles as it is, by plain pdflatex, no text left unescaped.

A table that is too wide for a page of `article` is set smaller, then scaled a little, and then
split by columns; one that is too long by rows. Every part is a float of its own and repeats the key
columns. The first line says which packages it needs: booktabs, and graphicx where it is scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .cutting import shortened
from .escaping import escaped, slug, width

ROWS, CELL, PROSE = 45, 36, 160
"""Most rows of a part, and most characters of a cell and of a cell that is set as a paragraph."""
WIDTH, HEIGHT, GAP = 340.0, 470.0, 8.0
"""Points: of the text of `article`, of a part's caption and rows, and between two columns."""
LEAST = 0.72
"""A table is scaled down to this at the smallest size, and split beyond."""
NARROWEST = 90.0
"""Points of a column of prose."""
HEADS = 72
"""Most characters of a head, which may stand in several lines."""


class Size(NamedTuple):
    """A font size, the width of its letters against 10 pt, the height of a line in points."""

    name: str
    letter: float
    line: float


SIZES = (Size("small", 0.93, 11.0), Size("footnotesize", 0.87, 9.5), Size("scriptsize", 0.82, 8.0))


@dataclass(frozen=True)
class Column:
    """A column's head in lines, its cells, how wide it is at 10 pt, and how it is set."""

    head: list[str]
    cells: list[str]
    points: float
    letter: str
    prose: bool

    def set(self, row: int, size: str) -> str:
        """A cell as LaTeX; prose as a paragraph."""
        text = escaped(self.cells[row])
        if not self.prose or not text:
            return text
        return f"\\parbox[t]{{{NARROWEST:.0f}pt}}{{\\raggedright\\{size}\\strut {text}\\strut}}"

    def title(self) -> str:
        """The head as LaTeX, over several lines where it is wider than the cells."""
        lines = "\\\\".join(escaped(line) for line in self.head)
        return lines if len(self.head) == 1 else f"\\shortstack[{self.letter}]{{{lines}}}"


def latex(
    name: str,
    title: str,
    notes: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    keys: int,
) -> str:
    """The table as one float or several; the first `keys` columns stand in every part."""
    made = [column(text, [row[i] for row in rows], i) for i, text in enumerate(columns)]
    groups = split(made, min(keys, len(columns)))
    sizes = [size_of(group) for group in groups]
    told, line = sentences((title, *notes)), max(size.line for size in sizes)
    first, further = lengths(told, line, any(one.prose for one in made))
    pieces = [range(len(rows))[:first], *chunks(range(len(rows))[first:], further)]
    parts = [
        (group, size, piece) for piece in pieces for group, size in zip(groups, sizes, strict=True)
    ]
    texts, scaled = [], False
    for number, (group, size, piece) in enumerate(parts, 1):
        part = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        caption = f"{title}{part}. Notes under part 1."
        if number == 1:
            caption = sentences((f"{title}{part}", *notes))
        label = slug(name) + (f"-{number}" if number > 1 else "")
        body = tabular(group, piece, size.name)
        if needed(group, size.letter) > WIDTH:
            body, scaled = f"\\resizebox{{\\textwidth}}{{!}}{{{body}}}", True
        texts.append(flowing(number, float_of(size.name, title + part, caption, label, body)))
    packages = "booktabs,graphicx" if scaled else "booktabs"
    return f"% \\usepackage{{{packages}}}\n" + "\n".join(texts)


def column(head: str, texts: Sequence[str], place: int) -> Column:
    """A column from its texts."""
    prose = any(len(text) > CELL and text.count(" ") > 3 for text in texts)
    cells = [shortened(text, PROSE if prose else CELL) for text in texts]
    widest = NARROWEST if prose else max(map(width, cells), default=0.0)
    lines = broken(shortened(head, HEADS), widest)
    points = max(widest, *map(width, lines))
    return Column(lines, cells, points, "r" if place and is_numeric(texts) else "l", prose)


def broken(head: str, widest: float) -> list[str]:
    """A head in lines that are no wider than the cells or its longest word."""
    words = head.split(" ")
    most, lines = max(widest, *map(width, words)), words[:1]
    for word in words[1:]:
        if width(f"{lines[-1]} {word}") <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def lengths(caption: str, line: float, prose: bool) -> tuple[int, int]:
    """How many rows fit into the first part, under the whole caption, and into further ones."""
    told = math.ceil(width(caption) * 0.87 / WIDTH) * 9.5
    tall = line * (3 if prose else 1)
    return (
        max(1, min(ROWS, int((HEIGHT - told) / tall))),
        max(1, min(ROWS, int((HEIGHT - 20) / tall))),
    )


def chunks(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    """The rows in pieces of at most this size."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def split(columns: Sequence[Column], keys: int) -> list[list[Column]]:
    """The columns of every part: as few parts as can be, and those about equally wide."""
    widest = WIDTH / LEAST
    if needed(columns, SIZES[-1].letter) <= widest:
        return [list(columns)]
    groups = filled(columns, keys, widest)
    for tenth in range(1, 10):
        narrower = filled(columns, keys, widest * (1 - tenth / 10))
        if len(narrower) > len(groups):
            break
        groups = narrower
    return groups


def filled(columns: Sequence[Column], keys: int, widest: float) -> list[list[Column]]:
    """Parts filled one after the other up to a width; each has the key columns and one more."""
    groups, current = [], list(columns[:keys])
    for one in columns[keys:]:
        if len(current) > keys and needed([*current, one], SIZES[-1].letter) > widest:
            groups.append(current)
            current = list(columns[:keys])
        current.append(one)
    return [*groups, current]


def size_of(columns: Sequence[Column]) -> Size:
    """The largest size at which a part fits, else the smallest."""
    return next((size for size in SIZES if needed(columns, size.letter) <= WIDTH), SIZES[-1])


def needed(columns: Sequence[Column], scale: float) -> float:
    """Points that columns take."""
    widths = [NARROWEST if one.prose else one.points * scale for one in columns]
    return sum(widths) + GAP * (len(widths) - 1)


def is_numeric(texts: Sequence[str]) -> bool:
    """Whether most cells of a column that are not empty begin as a number does."""
    told = [text for text in texts if text and text != "-"]
    return 2 * sum(text[0].isdigit() or text[0] in "+-−" for text in told) >= len(told)


def tabular(columns: Sequence[Column], rows: Sequence[int], size: str) -> str:
    """The rules and rows of one part; `{}` keeps a first `[` or `*` from the line break before."""
    lines = [" & ".join(one.title() for one in columns)]
    lines += ["{}" + " & ".join(one.set(row, size) for one in columns) for row in rows]
    head, *body = (f"{line} \\\\\n" for line in lines)
    letters = "".join(one.letter for one in columns)
    return (
        f"\\begin{{tabular}}{{@{{}}{letters}@{{}}}}\n\\toprule\n{{}}{head}\\midrule\n"
        f"{''.join(body)}\\bottomrule\n\\end{{tabular}}"
    )


def float_of(size: str, short: str, caption: str, label: str, body: str) -> str:
    """A float with its caption above."""
    return (
        f"\\begin{{table}}[htbp]\n\\centering\\footnotesize\n"
        f"\\setlength{{\\abovecaptionskip}}{{0pt}}\\setlength{{\\belowcaptionskip}}{{5pt}}\n"
        f"\\caption[{{{escaped(short)}}}]{{{escaped(caption)}}}\n\\label{{tab:{label}}}\n"
        f"\\setlength{{\\tabcolsep}}{{{GAP / 2:g}pt}}\\{size}\n{body}\n\\end{{table}}\n"
    )


def flowing(number: int, text: str) -> str:
    """A part, with the pages cleared now and then: LaTeX holds back only so many floats."""
    return f"\\clearpage\n{text}" if number > 1 and number % 8 == 1 else text


def sentences(texts: Sequence[str]) -> str:
    """The texts as sentences."""
    return " ".join(f"{text.rstrip('.')}." for text in texts)
