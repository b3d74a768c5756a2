"""Other projects' accelerators on the simulated board, beside ours: same layer, memory and synthesis."""
