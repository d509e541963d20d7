"""Runs a command with its output in a file and prints what it cost, as JSON.

measured.py OUTPUT CODES COMMAND…: CODES are the exit codes that are no failure, as in 0,1.
"""

import json
import resource
import subprocess
import sys
import time

output, codes, *command = sys.argv[1:]
with open(output, "wb") as file:
    began = time.monotonic()
    code = subprocess.run(command, stdout=file, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - began
if code not in {int(code) for code in codes.split(",")}:
    sys.exit(f"{command[0]} ended with {code}")
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "max_rss_mb": usage.ru_maxrss / 1024}))
