"""Prints the table and the JSON line of infra/bench/audits.

audits_table.py REPORTS OURS NAMED THEIRS: a file with one report a line, and the costs as JSON: of whole audits, of those that guess no DKIM
selectors, and of checkdmarc.
"""

import json
import sys

reports, ours, named, theirs = sys.argv[1:]
ours, named, theirs = json.loads(ours), json.loads(named), json.loads(theirs)
good = unknown = rules = 0
with open(reports, encoding="utf-8") as file:
    for line in file:
        report = json.loads(line)
        bad = {finding["rule"].split(".")[0] for finding in report["findings"] if finding["severity"] in ("critical", "high")}
        good += not bad & {"spf", "dmarc", "mx"} and len(report["mx_hosts"]) == 2 and "spf" in report["records"]
        unknown += any(part["subject"] in ("mx", "spf", "dmarc") for part in report["unknown"])
        rules += len(report["findings"])
ours |= {"domains": theirs["domains"], "good": good, "unknown": unknown, "findings": rules}
named |= {"domains": theirs["domains"], "good": good}
for side in (ours, named, theirs):
    side["domains_per_second"] = side["domains"] / side["seconds"]
    side["cpu_ms_per_domain"] = side["cpu_seconds"] * 1000 / side["domains"]
ratio, ratio_named = (theirs["cpu_ms_per_domain"] / side["cpu_ms_per_domain"] for side in (ours, named))
print(f"{'':30}{'domains/s':>12}{'CPU ms/domain':>16}{'max RSS MB':>12}{'good':>12}", file=sys.stderr)
for name, side in (("waypost", ours), ("waypost, one selector named", named), ("checkdmarc", theirs)):
    count = f"{side['good']}/{side['domains']}"
    print(f"{name:30}{side['domains_per_second']:12.1f}{side['cpu_ms_per_domain']:16.2f}{side['max_rss_mb']:12.0f}{count:>12}", file=sys.stderr)
print(f"checkdmarc takes {ratio:.1f} times the CPU, {ratio_named:.1f} times that of audits that guess no selectors", file=sys.stderr)
print(json.dumps({"bench": "audits", "waypost": ours, "waypost_named": named, "checkdmarc": theirs, "cpu_ratio": ratio, "cpu_ratio_named": ratio_named}))
