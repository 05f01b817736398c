"""The worker as a process: heartbeat, stop requests, queue, device lock, a study's children.

Imports no torch, and knows nothing of what a run computes.
"""
