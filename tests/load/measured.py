"""Runs a command and says how long it took and how much memory it had at its peak.

Usage: measured.py COMMAND ARGUMENT…; writes {"seconds": …, "peak_mb": …}. What the command says goes to standard error.
"""

import json
import resource
import subprocess
import sys
import time

begin = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=sys.stderr, check=True)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak}))
