"""Bringing databases under management that hold the application's and the plan's tables already (`manage.py adopt`).

Nothing here knows a column or an index: what is wanted is what the migrations make. They run into a schema of their
own (`target`), which is compared with what is there (`catalog`, `compare`, `indexes`, `raw`). What differs becomes a
list of steps (`steps`), each safe to repeat, which are carried out one by one (`running`). There is no record of how
far it got: after a kill the comparison simply finds less to do (`adopting`).
"""
