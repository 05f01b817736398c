"""The worker as a process: heartbeat, stop requests, queue, device lock, the children of a study.

It imports no torch, and knows nothing about what a run computes.
"""
