"""`make bench`: how fast, as ratios against a floor measured in the same run on the same machine."""
