"""Prints the table and the JSON line of infra/bench/blacklists.

blacklists_table.py SCAN NETWORK DNSPERF OUTPUT: two results of bench_blacklist and the costs of dnsperf as JSON, and the file dnsperf wrote.
"""

import json
import re
import sys

scan, network, dnsperf, output = sys.argv[1:]
scan, network, dnsperf = (json.loads(text) for text in (scan, network, dnsperf))
with open(output, encoding="utf-8") as file:
    text = file.read()


def said(what):
    return float(re.search(what + r":\s+([\d.]+)", text).group(1))


limit = {
    "queries": said("Queries completed"),
    "lost": said("Queries lost"),
    "queries_per_second": said("Queries per second"),
    "cpu_us_per_query": dnsperf["cpu_seconds"] * 1e6 / said("Queries completed"),
}
for side in (scan, network, limit):
    side["queries_per_core_second"] = 1e6 / side["cpu_us_per_query"]
ratio = scan["queries_per_second"] / limit["queries_per_second"]
per_core = scan["queries_per_core_second"] / limit["queries_per_core_second"]
print(f"{'':34}{'queries/s':>12}{'CPU us/query':>14}{'queries/s and core':>20}{'unknown':>9}", file=sys.stderr)
for name, side in ((f"waypost, {scan['zones']} lists", scan), (f"waypost, a /24 on {network['zones']} lists", network)):
    row = (side["queries_per_second"], side["cpu_us_per_query"], side["queries_per_core_second"], side["unknown"])
    print(f"{name:34}{row[0]:12.0f}{row[1]:14.1f}{row[2]:20.0f}{row[3]:9.0f}", file=sys.stderr)
print(f"{'dnsperf, the same names':34}{limit['queries_per_second']:12.0f}{limit['cpu_us_per_query']:14.1f}{limit['queries_per_core_second']:20.0f}{limit['lost']:9.0f}", file=sys.stderr)
print(f"waypost asks {ratio:.2f} of what dnsperf asks, {per_core:.2f} of its questions per CPU second; the /24 took {network['seconds']:.2f} s", file=sys.stderr)
print(json.dumps({"bench": "blacklists", "scan": scan, "network": network, "dnsperf": limit, "ratio": ratio, "ratio_per_core": per_core}))
