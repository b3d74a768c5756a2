"""Readers for CAN captures: `read` for a file at once, `read_chunks` for one that does not fit into memory.

The format is told by the content, the extension only settles doubts; gzip is seen through. What a reader
leaves out it counts by reason: CAN FD frames and error frames (the features are defined on classical frames),
lines that are no frames, identifiers and lengths that cannot be. A file that breaks half-way yields what it
had.
"""

from models.can_ids.readers.capture import Capture, Tally
from models.can_ids.readers.reading import read, read_chunks
from models.can_ids.readers.writing import write_candump, write_csv

__all__ = ["Capture", "Tally", "read", "read_chunks", "write_candump", "write_csv"]
