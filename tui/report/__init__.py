"""The report: runs as one HTML file to send. Reads runs as data; knows no terminal and no screen.

It imports nothing slow at start.
"""
