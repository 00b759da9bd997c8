"""Answers what python-dateutil makes of recurrence rules.

Reads one JSON object a line, {"rules", "start", "zone", "count", "last_year"}, and writes one JSON list a line: the first
`count` dates that any of the rules gives, up to the year `last_year`, each [wall-clock time, instant or null]; a string
instead if dateutil fails.
"""

import datetime
import heapq
import itertools
import json
import sys

from dateutil import rrule, tz, zoneinfo

ZONES = zoneinfo.get_zonefile_instance()


def dates(question):
    # dateutil asks this constant when to stop, also when a rule gives nothing for thousands of years.
    datetime.MAXYEAR = question["last_year"]
    start = datetime.datetime.fromisoformat(question["start"])
    zone = ZONES.get(question["zone"]) if question["zone"] else None
    # UNTIL is an instant or a wall-clock time, and dateutil wants the start to be of the same kind.
    if zone and question["rules"][0].endswith("Z"):
        start = start.replace(tzinfo=zone)
    rules = [rrule.rrulestr(rule, dtstart=start) for rule in question["rules"]]
    found = []
    try:
        for wall in itertools.islice(union(rules), question["count"]):
            if wall.year <= question["last_year"]:
                wall = wall.replace(tzinfo=None)
                found.append([wall.isoformat(), instant(wall, zone)])
    except (ValueError, OverflowError):
        # dateutil steps over the end of time to find that there is none.
        if question["last_year"] != 9999:
            raise
    return found


def union(rules):
    merged = heapq.merge(*rules)
    return (wall for wall, _ in itertools.groupby(merged))


def instant(wall, zone):
    if zone is None:
        return None
    at = tz.resolve_imaginary(wall.replace(tzinfo=zone)).astimezone(tz.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


for line in sys.stdin:
    try:
        answer = dates(json.loads(line))
    except (ValueError, IndexError, OverflowError) as error:
        answer = repr(error)
    print(json.dumps(answer))
