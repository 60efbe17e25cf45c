"""A believable month of SigmaSight, the same for the same seed and end.

`plan` says how much of what happens when; `people` and `visits` write a day each (people who sign up; people who
ask the AI); `talk` holds what is said; `batches` and `knowledge` the rest; `load` brings it all into the databases.
"""
