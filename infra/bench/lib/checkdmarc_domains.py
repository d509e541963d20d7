"""Checks domains with checkdmarc, as its command does, and prints what it cost and how many it found in order, as JSON.

checkdmarc_domains.py RESOLVER DOMAIN…
"""

import json
import logging
import resource
import sys
import time

import checkdmarc

logging.disable(logging.CRITICAL)
nameserver, *domains = sys.argv[1:]


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# What is loaded once is no part of the measurement.
checkdmarc.check_domains([domains[0]], nameservers=[nameserver])
began, cpu = time.monotonic(), cpu_seconds()
good = 0
for domain in domains:
    result = checkdmarc.check_domains([domain], nameservers=[nameserver])
    good += bool(result["spf"]["valid"] and result["dmarc"]["valid"] and len(result["mx"]["hosts"]) == 2)
print(
    json.dumps(
        {
            "seconds": time.monotonic() - began,
            "cpu_seconds": cpu_seconds() - cpu,
            "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "domains": len(domains),
            "good": good,
        }
    )
)
