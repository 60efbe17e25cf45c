"""Funnels: who got how far, kept from events and records, for ever.

`definition` says what a funnel is, `evidence` what proves a step beside events; `ingest` takes in what is new,
`progress` works out each person's, `cells` what it all comes to, and `refresh` runs them. `reading` and `people` ask;
the way in is `activity.funnel`.
"""
