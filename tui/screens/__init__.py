"""The screens: runs, a run, a comparison, a new run, and what opens above them."""
