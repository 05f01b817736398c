"""Charts in braille: from points to lines of styled text.

Pure; knows no widget and no file.
"""
