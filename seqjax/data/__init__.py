"""Sources, vocabularies and batches; NumPy only."""

from seqjax.data.config import TextConfig as TextConfig
