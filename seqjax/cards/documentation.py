"""Documentation with its mathematics, in Unicode for a terminal and in Markdown for a notebook."""

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from seqjax.cards.latex import lines_of_mathematics, mathematics

_ROLE = re.compile(r":(\w+):`~?([^`]*)`")
_ITEM = re.compile(r"\s*(?:[*-]|\d+\.)\s|\s+\w+(?: \([^)]*\))?: ")


class Block(NamedTuple):
    """A piece of documentation: text as it stands, or the LaTeX of displayed mathematics."""

    is_mathematics: bool
    content: str


def blocks(documentation: str) -> Iterator[Block]:
    """The documentation's pieces, in order."""
    text: list[str] = []
    lines = documentation.splitlines()
    while lines:
        line = lines.pop(0)
        directive = re.match(r"(\s*)\.\. (\w+)::\s*(.*)$", line)
        if not directive:
            text.append(line)
            continue
        if directive[2] != "math":
            continue
        content = [directive[3]]
        while lines and (not lines[0].strip() or lines[0].startswith(directive[1] + " ")):
            content.append(lines.pop(0).strip())
        yield Block(False, "\n".join(text).strip("\n"))
        yield Block(True, "\n".join(content).strip())
        text = []
    yield Block(False, "\n".join(text).strip("\n"))


def readable(documentation: str, width: int = 88) -> str:
    """Documentation for a terminal: paragraphs of that width, mathematics in Unicode, indented."""
    parts = []
    for block in blocks(documentation):
        if block.is_mathematics:
            lines = [_broken(line, width) for line in lines_of_mathematics(block.content)]
            parts.append(textwrap.indent("\n".join(lines), "    "))
        else:
            parts += [_filled(paragraph, width) for paragraph in re.split(r"\n\s*\n", block.content)]
    return "\n\n".join(part for part in parts if part.strip())


def inline(text: str) -> str:
    """One line of documentation for a terminal."""
    text = _ROLE.sub(lambda match: mathematics(match[2]) if match[1] == "math" else match[2], text)
    return text.replace("``", "")


def equations(documentation: str) -> list[str]:
    """The displayed mathematics in Unicode, a line each."""
    return [line for block in blocks(documentation) if block.is_mathematics for line in lines_of_mathematics(block[1])]


def markdown(documentation: str) -> str:
    """Documentation for a notebook, with LaTeX between dollar signs."""
    parts = []
    for block in blocks(documentation):
        if block.is_mathematics:
            parts.append("$$\n\\begin{aligned}\n" + block.content + "\n\\end{aligned}\n$$")
        else:
            parts.append(inline_markdown(block.content))
    return "\n\n".join(part for part in parts if part.strip())


def inline_markdown(text: str) -> str:
    """One line of documentation for a notebook."""
    text = _ROLE.sub(lambda match: f"${match[2]}$" if match[1] == "math" else f"`{match[2]}`", text)
    return text.replace("``", "`")


def _broken(formula: str, width: int) -> str:
    """A formula that is too long for a line, on several that start behind its equals sign or arrow."""
    # What is only a little too long reads better unbroken.
    if len(formula) <= width + 6:
        return formula
    sign = re.search(r" [=←] ", formula)
    indent = " " * (sign.end() if sign else 4)
    return textwrap.fill(formula, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _filled(paragraph: str, width: int) -> str:
    items: list[str] = []
    indent, header = 0, False
    for line in paragraph.splitlines():
        space = len(line) - len(line.lstrip())
        if items and not header and not _ITEM.match(line) and (space > 0 or indent == 0):
            items[-1] += " " + line.strip()
        else:
            items.append(line.rstrip())
            indent, header = space, bool(re.fullmatch(r"\w+:", line))
    return "\n".join(_item(inline(item), width) for item in items)


def _item(text: str, width: int) -> str:
    space = " " * (len(text) - len(text.lstrip()))
    hanging = space + ("  " if _ITEM.match(text) else "")
    return textwrap.fill(
        text.strip(),
        width,
        initial_indent=space,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
