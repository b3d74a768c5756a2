"""Bounded proofs: contracts in Amaranth, checked by SymbiYosys with bitwuzla.

`stream_contract` has the parts that any unit with streams can use, `streams` the contracts of hw/stream,
`catalog` the list that `make prove` works through; `runner` runs one proof, `paths` the structural check.
"""
