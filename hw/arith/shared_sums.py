"""Many sums of the same inputs with constant ternary weights, sharing what they have in common.

Greedy: the pair of terms that most sums contain, up to a common sign, becomes a term of its own, until no
pair is in two sums. A third to a half of all additions of a random ternary matrix go away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

__all__ = ["Pair", "SharedSums", "share"]


@dataclass(frozen=True)
class Pair:
    """`first + sign * second`, of the terms with these numbers."""

    first: int
    second: int
    sign: int


@dataclass(frozen=True)
class SharedSums:
    """Terms 0 to `inputs` - 1 are the inputs; each pair makes the next one."""

    inputs: int
    pairs: tuple[Pair, ...]
    sums: tuple[tuple[tuple[int, int], ...], ...]  #: (term, sign) of each sum

    @property
    def additions(self) -> int:
        return len(self.pairs) + sum(max(0, len(terms) - 1) for terms in self.sums)

    def compute(self, values: Sequence[int]) -> list[int]:
        """The golden twin."""
        terms = list(values)
        for pair in self.pairs:
            terms.append(terms[pair.first] + pair.sign * terms[pair.second])
        return [sum(sign * terms[term] for term, sign in one) for one in self.sums]


def share(weights: Sequence[Sequence[int]], *, uses_min: int = 2, depth_max: int | None = None) -> SharedSums:
    """Share pairs that at least `uses_min` sums contain, `depth_max` pairs upon pairs at the most."""
    rows = [{term: weight for term, weight in enumerate(row) if weight} for row in weights]
    if any(abs(weight) != 1 for row in rows for weight in row.values()):
        raise ValueError("weights must be -1, 0 or 1: other products have no common terms to share")
    inputs = len(weights[0])
    depth = [0] * inputs
    counts: Counter[Pair] = Counter(pair for row in rows for pair in _pairs(row))
    pairs: list[Pair] = []
    while counts:
        pair, uses = max(counts.items(), key=lambda item: (item[1], -item[0].first, -item[0].second))
        if uses < uses_min:
            break
        term_depth = 1 + max(depth[pair.first], depth[pair.second])
        if depth_max is not None and term_depth > depth_max:
            del counts[pair]
            continue
        term = inputs + len(pairs)
        pairs.append(pair)
        depth.append(term_depth)
        for row in rows:
            sign = row.get(pair.first, 0)
            if sign and row.get(pair.second, 0) == sign * pair.sign:
                _replace(row, pair, term, sign, counts)
    return SharedSums(inputs, tuple(pairs), tuple(tuple(sorted(row.items())) for row in rows))


def _replace(row: dict[int, int], pair: Pair, term: int, sign: int, counts: Counter[Pair]) -> None:
    counts.subtract(_pairs(row, involving=(pair.first, pair.second)))
    del row[pair.first], row[pair.second]
    row[term] = sign
    counts.update(_pairs(row, involving=(term,)))


def _pairs(row: dict[int, int], *, involving: tuple[int, ...] | None = None) -> Iterator[Pair]:
    if involving is None:
        chosen: Iterator[tuple[int, int]] = combinations(sorted(row), 2)
    else:
        chosen = iter(
            {(min(one, other), max(one, other)) for one in involving for other in row if other != one}
        )
    for first, second in chosen:
        yield Pair(first, second, row[first] * row[second])
