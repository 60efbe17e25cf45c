"""Django's admin over tables of a hundred million rows: the base that every raw table is declared with.

An app says in its `admin.py` which columns a person wants to see, what may be searched and filtered, and where its
UUIDs point (`RAW_TABLES`, a mapping of models to `RawTable` classes); `admin_portal.site` registers them. The base
sees to it that no page counts or scans a big table, that rows of a partitioned one are found in their own partition,
and that a database which is away costs its own pages only.
"""

from sigmasight.lib.rawadmin.filters import choices, indexed_choices, is_set, recent_choices, time_window
from sigmasight.lib.rawadmin.partitioned import PartitionedRawTable
from sigmasight.lib.rawadmin.table import RawTable

__all__ = [
    "PartitionedRawTable",
    "RawTable",
    "choices",
    "indexed_choices",
    "is_set",
    "recent_choices",
    "time_window",
]
