"""What the screens are made of: paper, charts, lists, bars, pictures."""
