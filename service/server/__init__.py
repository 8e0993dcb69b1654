"""Hypercorn as this project runs it: one process, one event loop. It knows nothing of the product it serves."""
