"""Any text as plain pdflatex prints it, how wide it comes out, and names for labels and files."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from .cutting import flat

GLYPHS = {
    2.8: "ijl,.:;[]'!|",
    3.4: " f-`",
    4.0: "rst()",
    4.6: "cez",
    7.5: "ABCDGHKNOQRTUVXY&w",
    8.5: "m%#+=<>≥≤−×±Δ→∞@",
    10.3: "MW—",
}
"""Computer Modern at 10 pt, rounded up; 5.6 for all others."""
WIDTHS = {letter: width for width, letters in GLYPHS.items() for letter in letters}

ESCAPES = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "`": "\\textquoteleft{}",
}
SYMBOLS = {
    "≥": "\\geq", "≤": "\\leq", "−": "-", "×": "\\times", "±": "\\pm", "Δ": "\\Delta",
    "→": "\\rightarrow", "∞": "\\infty", "²": "^2", "³": "^3", "·": "\\cdot", "≈": "\\approx",
    "≠": "\\neq", "∇": "\\nabla", "Φ": "\\Phi", "√": "\\surd", "Σ": "\\Sigma", "⊕": "\\oplus",
    "°": "^\\circ", "α": "\\alpha", "β": "\\beta", "γ": "\\gamma", "δ": "\\delta",
    "ε": "\\epsilon", "η": "\\eta", "λ": "\\lambda", "μ": "\\mu", "ρ": "\\rho", "σ": "\\sigma",
    "τ": "\\tau", "φ": "\\phi", "θ": "\\theta", "χ": "\\chi", "ω": "\\omega", "ⁿ": "^n",
}  # fmt: skip
WORDS = {
    "…": "\\ldots{}", "–": "\\textendash{}", "—": "\\textemdash{}", "§": "\\S{}",
    "‘": "`", "’": "'", "“": "``", "”": "''",
    "ß": "\\ss{}", "ø": "\\o{}", "Ø": "\\O{}", "ł": "\\l{}", "µ": "$\\mu$",
    "æ": "\\ae{}", "œ": "\\oe{}",
}  # fmt: skip
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"'}
ACCENTS |= {"\u030a": "r", "\u030c": "v", "\u0327": "c", "\u0304": "=", "\u0306": "u"}


def width(text: str) -> float:
    """Points that a text takes at 10 pt, about."""
    return sum(WIDTHS[letter] if letter in WIDTHS else other_width(letter) for letter in text)


def other_width(letter: str) -> float:
    """Points of a character that is not in GLYPHS; a number such as U+1F642 is wide."""
    return 5.6 if letter.isascii() or not LETTERS[ord(letter)].startswith("U+") else 46.0


def slug(name: str) -> str:
    """The name as letters, digits and hyphens, for labels and files; other names stay apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    if plain == name:
        return name
    return f"{plain[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


class Letters(dict[int, str]):
    """Code -> the character as LaTeX, worked out when first asked for."""

    def __missing__(self, code: int) -> str:
        """What is not known yet."""
        self[code] = printed(chr(code))
        return self[code]


LETTERS = Letters()


def escaped(text: str) -> str:
    """Any text as LaTeX prints it; a letter that plain pdflatex lacks as its number, U+4E2D."""
    text = re.sub(r"(?<![\w.)\]-])-(?=\d)", "−", flat(text))
    return text.translate(LETTERS).replace("--", "-{}-")


def printed(letter: str) -> str:
    """One character as LaTeX."""
    if letter in ESCAPES:
        return ESCAPES[letter]
    if letter.isascii():
        return letter
    if letter in SYMBOLS:
        return f"${SYMBOLS[letter]}$"
    if letter in WORDS:
        return WORDS[letter]
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if base.isascii() and base.isalpha() and marks and all(mark in ACCENTS for mark in marks):
        for mark in marks:
            base = f"\\{ACCENTS[mark]}{{{base}}}"
        return base
    return f"U+{ord(letter):04X}"
