"""Object detection on the host: `source -> engine -> sinks`, each stage a thread of its own.

`pipeline.Pipeline` runs it and tells observers of every frame; `engines` are what computes a network's maps.
"""
