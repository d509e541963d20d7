"""Prints the table and the JSON line of infra/bench/audits.

audits_table.py REPORTS OURS THEIRS: a file with one report a line, and the costs as JSON.
"""

import json
import sys

reports, ours, theirs = sys.argv[1:]
ours, theirs = json.loads(ours), json.loads(theirs)
good = unknown = rules = 0
with open(reports, encoding="utf-8") as file:
    for line in file:
        report = json.loads(line)
        bad = {finding["rule"].split(".")[0] for finding in report["findings"] if finding["severity"] in ("critical", "high")}
        good += not bad & {"spf", "dmarc", "mx"} and len(report["mx_hosts"]) == 2 and "spf" in report["records"]
        unknown += any(part["subject"] in ("mx", "spf", "dmarc") for part in report["unknown"])
        rules += len(report["findings"])
ours |= {"domains": theirs["domains"], "good": good, "unknown": unknown, "findings": rules}
for side in (ours, theirs):
    side["domains_per_second"] = side["domains"] / side["seconds"]
    side["cpu_ms_per_domain"] = side["cpu_seconds"] * 1000 / side["domains"]
ratio = theirs["cpu_ms_per_domain"] / ours["cpu_ms_per_domain"]
print(f"{'':14}{'domains/s':>12}{'CPU ms/domain':>16}{'max RSS MB':>12}{'good':>12}", file=sys.stderr)
for name, side in (("waypost", ours), ("checkdmarc", theirs)):
    count = f"{side['good']}/{side['domains']}"
    print(f"{name:14}{side['domains_per_second']:12.1f}{side['cpu_ms_per_domain']:16.2f}{side['max_rss_mb']:12.0f}{count:>12}", file=sys.stderr)
print(f"checkdmarc takes {ratio:.0f} times the CPU", file=sys.stderr)
print(json.dumps({"bench": "audits", "waypost": ours, "checkdmarc": theirs, "cpu_ratio": ratio}))
