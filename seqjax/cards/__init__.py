"""Cards: what there is to know about a cell on one page, for a terminal and for a notebook."""

from seqjax.cards.card import Card as Card
from seqjax.cards.card import card as card
