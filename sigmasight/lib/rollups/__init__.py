"""Roll-ups: figures by bucket and dimension that are kept true to raw rows, merge, and outlive them.

`spec` declares one, `fill` keeps it, `read` asks it; `histogram` and `people` are what percentiles and distinct people
are stored as. Which roll-ups there are: `activity.rollups` and `metrics.rollups`.
"""
