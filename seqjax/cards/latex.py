r"""LaTeX as Unicode: ``c_t = f_t \odot c_{t-1}`` reads cₜ = fₜ ⊙ cₜ₋₁.

As far as the equations of cells need it. A command that is not known keeps its name and loses its backslash.
"""

import re
import unicodedata

_OPERATORS = {
    "odot": "⊙",
    "cdot": "·",
    "times": "×",
    "otimes": "⊗",
    "oplus": "⊕",
    "star": "⋆",
    "ast": "∗",
    "circ": "∘",
    "pm": "±",
    "in": "∈",
    "notin": "∉",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "ll": "≪",
    "gg": "≫",
    "ne": "≠",
    "neq": "≠",
    "equiv": "≡",
    "approx": "≈",
    "sim": "∼",
    "propto": "∝",
    "to": "→",
    "rightarrow": "→",
    "mapsto": "↦",
    "leftarrow": "←",
    "gets": "←",
    "Rightarrow": "⇒",
    "mid": "|",
    "bmod": "mod",
    "wedge": "∧",
    "land": "∧",
    "vee": "∨",
    "lor": "∨",
    "cup": "∪",
    "cap": "∩",
    "setminus": "∖",
}
_SYMBOLS = {
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "top": "⊤",
    "intercal": "⊤",
    "infty": "∞",
    "partial": "∂",
    "nabla": "∇",
    "forall": "∀",
    "prime": "′",
    "dagger": "†",
    "ell": "ℓ",
    "Re": "Re",
    "Im": "Im",
    "lfloor": "⌊",
    "rfloor": "⌋",
    "lceil": "⌈",
    "rceil": "⌉",
    "langle": "⟨",
    "rangle": "⟩",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "lVert": "‖",
    "rVert": "‖",
    "Vert": "‖",
    "|": "‖",
    "{": "{",
    "}": "}",
    "lbrace": "{",
    "rbrace": "}",
    "dots": "…",
    "ldots": "…",
    "cdots": "⋯",
    "colon": ":",
    "varepsilon": "ε",
    "varphi": "φ",
    "vartheta": "ϑ",
    "varrho": "ϱ",
    "quad": "  ",
    "qquad": "    ",
    ",": " ",
    ";": " ",
    ":": " ",
    " ": " ",
    "!": "",
    "_": "_",
    "%": "%",
    "#": "#",
    "&": "and",
    "left": "",
    "right": "",
    "big": "",
    "Big": "",
    "bigl": "",
    "bigr": "",
    "Bigl": "",
    "Bigr": "",
    "displaystyle": "",
    "limits": "",
}
_ACCENTS = {
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0304",
    "dot": "\u0307",
    "ddot": "\u0308",
    "vec": "\u20d7",
}
_FONTS = ("mathrm", "mathbf", "mathit", "mathsf", "boldsymbol", "operatorname", "mathbin", "mathrel", "mathop")
_TEXTS = ("text", "textrm", "textit", "texttt", "mbox")
_SUBSCRIPTS = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
_SUPERSCRIPTS = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδφχ⊤′*†",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᵠᵡᵀ′*†",
        strict=True,
    )
)
# Longer ones cannot be read in small letters.
_LONGEST_SCRIPT = 6


def mathematics(latex: str) -> str:
    """A formula on one line."""
    return _tidy(_Reader(latex).rest())


def lines_of_mathematics(latex: str) -> list[str]:
    r"""Displayed mathematics, a line for every ``\\``; what stands before the first ``&`` is padded to one width."""
    rows = [[_tidy(part) for part in row] for row in _table(latex)]
    rows = [row for row in rows if any(row)]
    width = max((_width(row[0]) for row in rows if len(row) > 1), default=0)
    formulas = []
    for first, *others in rows:
        start = _padded(first, width) + " " if width and others else first
        # Columns after the second are remarks.
        formula, *remarks = others or [""]
        formulas.append((start + formula, "    ".join(part for part in remarks if part)))
    width = max((_width(formula) for formula, remark in formulas if remark), default=0)
    return [_padded(formula, width) + "    " + remark if remark else formula for formula, remark in formulas]


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?<=[(\[⌊⌈⟨]) | (?=[)\],;⌋⌉⟩])|(?<=Δ) (?=\w)", "", text)
    return unicodedata.normalize("NFC", text).strip()


def _width(text: str) -> int:
    return sum(not unicodedata.combining(character) for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _table(latex: str) -> list[list[str]]:
    """Rows and columns, each in Unicode; those of inner environments belong to these."""
    rows, reader = [[""]], _Reader(latex)
    while reader.more():
        if reader.take("\\\\"):
            # A row may say how far below it the next one stands.
            reader.take_pattern(r"\s*\[-?[\d.]+\w+\]")
            rows.append([""])
        elif reader.take("&"):
            rows[-1].append("")
        else:
            rows[-1][-1] += reader.atom()
    return rows


class _Reader:
    """Reads LaTeX from left to right."""

    def __init__(self, latex: str) -> None:
        self._latex, self._at = latex, 0

    def more(self) -> bool:
        return self._at < len(self._latex)

    def take(self, text: str) -> bool:
        found = self._latex.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def take_pattern(self, pattern: str) -> str | None:
        match = re.compile(pattern).match(self._latex, self._at)
        self._at = match.end() if match else self._at
        return match[0] if match else None

    def rest(self) -> str:
        parts = []
        while self.more():
            parts.append(self.atom())
        return "".join(parts)

    def atom(self) -> str:
        """The next symbol, command with its arguments, or group."""
        if self._latex[self._at] == "{":
            return _Reader(self._group()).rest()
        if self.take("\\"):
            return self._command(self.take_pattern(r"[A-Za-z]+") or self._character())
        if self.take("_"):
            return _script(self._argument(), _SUBSCRIPTS, "_")
        if self.take("^"):
            return _script(self._argument(), _SUPERSCRIPTS, "^")
        return {"'": "′", "~": " ", "&": " "}.get(character := self._character(), character)

    def _character(self) -> str:
        self._at += 1
        return self._latex[self._at - 1 : self._at]

    def _group(self) -> str:
        """What stands between this brace and its partner, as it is written."""
        start, depth = self._at + 1, 0
        while self.more():
            if self.take_pattern(r"\\."):
                continue
            depth += {"{": 1, "}": -1}.get(self._character(), 0)
            if not depth:
                return self._latex[start : self._at - 1]
        return self._latex[start:]

    def _raw_argument(self) -> str:
        self.take_pattern(r"\s+")
        if not self.more():
            return ""
        if self._latex[self._at] == "{":
            return self._group()
        return self.take_pattern(r"\\[A-Za-z]+") or self._character()

    def _argument(self) -> str:
        return _tidy(_Reader(self._raw_argument()).rest())

    def _command(self, name: str) -> str:
        if name in _OPERATORS:
            return f" {_OPERATORS[name]} "
        if name in _ACCENTS:
            first, *others = self._argument() or " "
            return first + _ACCENTS[name] + "".join(others)
        if name in _TEXTS:
            return re.sub(r"\\(.)", r"\1", self._raw_argument())
        if name in _FONTS:
            self.take("*")
            return self._argument()
        if name in ("mathbb", "mathcal", "mathscr"):
            return _letter("DOUBLE-STRUCK" if name == "mathbb" else "SCRIPT", self._argument())
        if name in ("frac", "tfrac", "dfrac"):
            above, below = _grouped(self._argument()), _grouped(self._argument())
            return f"{above}/{below if _is_one_symbol(below) else f'({below})'}"
        if name == "sqrt":
            root = self.take_pattern(r"\s*\[\d\]")
            inside = self._argument()
            sign = {"[3]": "∛", "[4]": "∜"}.get((root or "").strip(), "√")
            return sign + (inside if len(inside) == 1 or inside.isdigit() else f"({inside})")
        if name in ("underset", "overset", "stackrel"):
            self._argument()
            return self._argument()
        if name in ("underbrace", "overbrace", "mathstrut", "phantom"):
            return self._argument() if name.endswith("brace") else ""
        if name == "begin":
            return self._environment(self._group())
        if name in ("left", "right"):
            self.take(".")
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        return _greek(name)

    def _environment(self, name: str) -> str:
        start = self._latex[: self._at].rpartition("\\begin")[0]
        content, depth = "", 1
        while self.more() and depth:
            part = self.take_pattern(r"\\(?:begin|end)\{[^}]*\}") or self.take_pattern(r"\\.|.|\n") or ""
            depth += part.startswith("\\begin") - part.startswith("\\end")
            content += part if depth else ""
        # Choices with something before or behind them need brackets.
        rest = self._latex[self._at :].lstrip()
        is_alone = start.rstrip(" \n&").endswith("=") and (not rest or rest.startswith(("\\\\", "&")))
        if name == "array":
            content = re.sub(r"^\s*\{[^}]*\}", "", content)
        rows = [[_tidy(part) for part in row] for row in _table(content)]
        if name == "cases":
            choices = "; ".join(_case(*row) for row in rows if any(row))
            return choices if is_alone else f"[{choices}]"
        if "matrix" in name or name == "array":
            return "[" + "; ".join(", ".join(row) for row in rows if any(row)) + "]"
        return "; ".join(" ".join(row) for row in rows)


def _case(value: str, condition: str = "", *_: str) -> str:
    value = value.removesuffix(",")
    if not condition or re.match(r"(if|otherwise|else|when|for)\b", condition):
        return f"{value} {condition}".strip()
    return f"{value} if {condition}"


def _script(text: str, table: dict[str, str], mark: str) -> str:
    compact = text.replace(" ", "")
    if compact and len(compact) <= _LONGEST_SCRIPT and all(character in table for character in compact):
        return "".join(table[character] for character in compact)
    plain = len(compact) == 1 or text.isalnum()
    return f"{mark}{text}" if plain else f"{mark}({text})"


def _grouped(text: str) -> str:
    """In parentheses where a fraction would read wrongly without."""
    depth, lonely = 0, True
    for character in text:
        depth += (character in "([") - (character in ")]")
        lonely &= depth > 0 or character not in " +-/·,"
    return text if lonely else f"({text})"


def _is_one_symbol(text: str) -> bool:
    """A number, a letter with its accents and indices, a differential, or what is in brackets."""
    scripts = "".join({*_SUBSCRIPTS.values(), *_SUPERSCRIPTS.values()})
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if c not in scripts and not unicodedata.combining(c))
    return len(bare) == 1 or bare.isdigit() or bool(re.fullmatch(r"d\w|\w*[√(|].*[)|]|_?\w_\w", bare))


def _letter(font: str, letter: str) -> str:
    if letter == "1":
        return "𝟙"
    for kind in (f"{font} CAPITAL {letter}", f"MATHEMATICAL {font} CAPITAL {letter}"):
        try:
            return unicodedata.lookup(kind)
        except KeyError:
            continue
    return letter


def _greek(word: str) -> str:
    size = "CAPITAL" if word[:1].isupper() else "SMALL"
    try:
        # Unicode's name of one of them has no b.
        return unicodedata.lookup(f"GREEK {size} LETTER {word.replace('ambda', 'amda')}")
    except KeyError:
        return word
