"""LaTeX as Unicode, and documentation around it."""

import inspect
import re

import pytest

from seqjax.cards.documentation import equations, markdown, readable
from seqjax.cards.latex import lines_of_mathematics, mathematics
from seqjax.cells import registry


@pytest.mark.parametrize(
    ("latex", "unicode"),
    [
        (r"c_t = f_t \odot c_{t-1} + i_t \odot \tilde{c}_t", "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ c̃ₜ"),
        (r"W_{i,f,o}", "W_(i,f,o)"),
        (r"b_{hn} + b_f + T_{\text{max}}", "bₕₙ + b_f + Tₘₐₓ"),
        (r"h^{(l)}_{t-1} x^2 W^\top U^{-1} e^{-a}", "h⁽ˡ⁾ₜ₋₁ x² Wᵀ U⁻¹ e⁻ᵃ"),
        (r"\frac{1}{\tau + f_t} + \tfrac12", "1/(τ + fₜ) + 1/2"),
        (
            r"\frac{1}{2t} A \frac{a_t}{\hat b_{t-1}} \frac{dv}{dt} \frac{1}{\sqrt{2n}}",
            "1/(2t) A aₜ/b̂ₜ₋₁ dv/dt 1/√(2n)",
        ),
        (r"\left(I - \frac{A}{t}\right) c_{t-1}", "(I - A/t) cₜ₋₁"),
        (r"\exp(-\operatorname{softplus}(\Delta t))", "exp(-softplus(Δt))"),
        (r"\sum_{k=1}^{K} a_k \sin(\omega_k t)", "∑ₖ₌₁ᴷ aₖ sin(ωₖ t)"),
        (r"\sqrt{1 - a^2} \sqrt n", "√(1 - a²) √n"),
        (r"\lambda \in \{0, 1\}", "λ ∈ {0, 1}"),
        (r"\mathcal{N}(0, 1) \mathbb{R}^{n \times m} \mathbf{x}", "𝒩(0, 1) ℝ^(n × m) x"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "[a, b; c, d]"),
        (r"\begin{cases} a_t, & \text{if } t > 0 \\ 0 & t = 0 \end{cases}", "[aₜ if t > 0; 0 if t = 0]"),
        (r"h = \begin{cases} a & t = 0 \\ b & \text{otherwise} \end{cases}", "h = a if t = 0; b otherwise"),
        (r"x\odot y\,z \unknown w", "x ⊙ y z unknown w"),
    ],
)
def test_formulas(latex, unicode):
    assert mathematics(latex) == unicode


def test_rows_are_aligned_and_remarks_have_a_column():
    rows = lines_of_mathematics(
        r"i_t, \tilde f_t &= a \\ n_t &= \begin{pmatrix} a \\ b \end{pmatrix} && \text{reset=\"after\"} \\ m &= b && x"
    )
    assert rows == ["iₜ, f̃ₜ = a", 'nₜ     = [a; b]    reset="after"', "m      = b         x"]


DOCUMENTATION = r"""
One line with :math:`h_t` and ``code`` of :class:`~seqjax.Cell`, which is long enough to go on after sixty letters.

.. math::
    h_t &= \sigma(x) \\
    y_t &= h_t

Then text.

Attributes:
    first: what it is,
        said at length.
    second: another.
"""


def test_documentation_for_a_terminal():
    text = readable(DOCUMENTATION, width=60)
    assert "with hₜ and code of" in text
    assert "\n\n    hₜ = σ(x)\n    yₜ = hₜ\n\nThen text.\n\n" in text
    assert text.endswith("Attributes:\n    first: what it is, said at length.\n    second: another.")
    assert max(map(len, text.splitlines())) <= 60
    assert equations(DOCUMENTATION) == ["hₜ = σ(x)", "yₜ = hₜ"]


def test_documentation_for_a_notebook():
    text = markdown(DOCUMENTATION)
    assert "with $h_t$ and `code` of `seqjax.Cell`" in text.replace("`Cell`", "`seqjax.Cell`")
    assert "$$\n\\begin{aligned}\nh_t &= \\sigma(x) \\\\\ny_t &= h_t\n\\end{aligned}\n$$" in text


@pytest.mark.parametrize("name", sorted(registry()))
def test_no_cell_shows_markup(name):
    documentation = inspect.getdoc(registry()[name]) or ""
    assert equations(documentation), "every cell says its equations"
    text = readable(documentation)
    # Braces that the mathematics itself has are escaped.
    assert not re.search(r"\\|``|:math:|\.\. \w+::|&|\$", text)
    if "\\{" not in documentation:
        assert not re.search(r"[{}]", text)
    assert max(map(len, text.splitlines())) <= 100
