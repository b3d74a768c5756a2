"""CAN intrusion detection on the host: `source -> board -> sink`.

`pipeline.watch` runs it; `driver.Ids` is the overlay as pynq gives it, `board` what the pipeline needs of a
board, `golden` the same judged in numpy where there is none.
"""
