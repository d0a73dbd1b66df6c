"""Writes shared/conform/tests/data/compressed_buffers.arrows: a stream with compressed buffers, which is refused.

Needs pyarrow. Run from the repository root.
"""

import pyarrow as pa

table = pa.table({"at": pa.array([1, 2, 3], pa.timestamp("ms", tz="UTC"))})
options = pa.ipc.IpcWriteOptions(compression="lz4")
with pa.OSFile("shared/conform/tests/data/compressed_buffers.arrows", "wb") as sink:
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
