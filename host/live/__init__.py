"""The live page: what both systems do, in a browser, by server-sent events and the standard library alone."""
