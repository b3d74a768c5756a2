"""Build results kept by the hash of everything that went into them, and never half of one.

A build happens in a folder of its own under a temporary name and is renamed into place when it is whole, so
a folder under its key is complete by construction: a kill at any moment leaves a temporary that nobody reads
and that the next build sweeps away. A lock for each key makes parallel processes build once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BuildCache", "Built", "content_key"]

_PARTIAL = ".partial"


@dataclass(frozen=True, kw_only=True)
class Built:
    """Where a build lies, and whether it was made now or found."""

    path: Path
    fresh: bool
    seconds: float

    def __str__(self) -> str:
        return f"built in {self.seconds:.1f} s" if self.fresh else "reused"


def content_key(parts: Iterable[str | bytes]) -> str:
    """The name of a build: 32 hexadecimal digits over `parts`, each counted with its length."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]


class BuildCache:
    """Builds by key under `root`, by default $COLONNADE_CACHE or build/cache."""

    def __init__(self, root: Path | None = None):
        default = Path(__file__).parents[2] / "build" / "cache"
        self.root = Path(root or os.environ.get("COLONNADE_CACHE") or default)

    def get(self, key: str, build: Callable[[Path], None]) -> Built:
        """The folder of `key`; `build(folder)` fills it when there is none."""
        path = self.root / key
        if path.is_dir():
            return Built(path=path, fresh=False, seconds=0.0)
        started = time.monotonic()
        with self._locked(key):
            if path.is_dir():  # another process built it while we waited
                return Built(path=path, fresh=False, seconds=0.0)
            self._sweep(own_key=key)
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=_PARTIAL, dir=self.root))
            try:
                build(partial)
                partial.rename(path)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return Built(path=path, fresh=True, seconds=time.monotonic() - started)

    @contextmanager
    def _locked(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of `key`; the system lets go of it when the process dies."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{key}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _sweep(self, *, own_key: str) -> None:
        """Remove what killed builds left: a temporary whose lock nobody holds has no builder."""
        for partial in self.root.glob(f"*{_PARTIAL}"):
            key = partial.name.split(".")[0]
            if key == own_key:
                shutil.rmtree(partial, ignore_errors=True)
                continue
            with self._locked(key, wait=False) as free:
                if free:
                    shutil.rmtree(partial, ignore_errors=True)
