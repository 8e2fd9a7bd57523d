"""Requests through Python's CacheControl to an origin whose ETag is its body's digest. Prints what it has counted."""

import hashlib
import json
import random
import sys

import requests
from cachecontrol import CacheControl
from cachecontrol.caches.file_cache import FileCache, SeparateBodyFileCache

role = json.loads(sys.argv[1])
plain = requests.Session()
plain.trust_env = False  # no proxies
store = {"FileCache": FileCache, "SeparateBodyFileCache": SeparateBodyFileCache}[role["Layout"]](role["Dir"])
session = CacheControl(plain, cache=store)
tally = {"Reads": 0, "Hits": 0, "Wrong": 0, "Failed": 0, "First": ""}
for _ in range(role["Reads"]):
    headers = {"Cache-Control": "no-cache"} if random.random() < role["Renew"] else {}
    try:
        resp = session.get("%s/%d" % (role["URL"], random.randrange(role["Keys"])), headers=headers, timeout=60)
        body = resp.content
    except Exception as e:
        tally["Failed"] += 1
        tally["First"] = tally["First"] or "%s: %s" % (type(e).__name__, e)
        continue
    tally["Reads"] += 1
    tally["Hits"] += bool(getattr(resp, "from_cache", False))
    if resp.headers["Etag"] != '"%s"' % hashlib.sha256(body).hexdigest():
        tally["Wrong"] += 1
        tally["First"] = tally["First"] or "a head with another's body"
json.dump(tally, sys.stdout)
