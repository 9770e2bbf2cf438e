"""Where sequences come from. :data:`SOURCES` lists them; the code of each is imported when it is asked for."""

from seqjax.data.sources.files import read_input as read_input
from seqjax.data.sources.listing import SOURCES as SOURCES
from seqjax.data.sources.loading import load_dataset as load_dataset
from seqjax.data.sources.source import Source as Source
