"""Genes: stretches of DNA and what happens there."""

import os

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import split


def splice(
    root: str | os.PathLike[str] | None = None, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> Dataset:
    """60 bases around a possible splice junction of primates: exon to intron, intron to exon, or neither.

    Beside A, C, G and T there are letters for bases that are not known for sure: D, N, R and S.
    """
    classes = {"EI": "exon-intron", "IE": "intron-exon", "N": "neither"}
    return _genes("splice", "uci_splice/splice.data", classes, root, validation, test, seed)


def promoters(
    root: str | os.PathLike[str] | None = None, validation: float = 0.1, test: float = 0.2, seed: int = 0
) -> Dataset:
    """57 bases of E. coli, half of them with a promoter, before which a gene is read."""
    classes = {"+": "promoter", "-": "none"}
    return _genes("promoters", "uci_promoters/promoters.data", classes, root, validation, test, seed)


def _genes(
    name: str,
    file: str,
    classes: dict[str, str],
    root: str | os.PathLike[str] | None,
    validation: float,
    test: float,
    seed: int,
) -> Dataset:
    rows = [
        [field.strip() for field in line.split(",")] for line in read_verified(file, root).decode("ascii").splitlines()
    ]
    records = Records(
        [row[2].upper() for row in rows], [classes[row[0]] for row in rows], names=[row[1] for row in rows]
    )
    return split(name, records, validation=validation, test=test, seed=seed)
