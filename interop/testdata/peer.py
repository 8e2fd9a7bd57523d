"""The Python side of the interoperability tests.

Reads one JSON object a line from stdin, does what its "op" says, and writes one JSON object a line to stdout. It ends
when stdin does. Header values are Latin-1 text, bodies base64.
"""

import base64
import io
import json
import os
import sys

import cachecontrol
import filelock
import msgpack
import requests
import urllib3
from cachecontrol import CacheControl
from cachecontrol.caches.file_cache import FileCache, SeparateBodyFileCache, url_to_file_path
from cachecontrol.serialize import Serializer


def redis_cache(url):
    import redis  # by its own tests only
    from cachecontrol.caches.redis_cache import RedisCache
    return RedisCache(redis.Redis.from_url(url))


STORES = {"FileCache": FileCache, "SeparateBodyFileCache": SeparateBodyFileCache, "RedisCache": redis_cache}

sessions = {}
locks = {}


def b64(data):
    return base64.b64encode(data).decode("ascii")


def unb64(text):
    return base64.b64decode(text or "")


def about(req):
    return {
        "file": cachecontrol.__file__,
        "versions": "Python %s, requests %s, urllib3 %s, filelock %s, msgpack %s" % (
            sys.version.split()[0], requests.__version__, urllib3.__version__, filelock.__version__,
            ".".join(map(str, msgpack.version))),
    }


def session(req):
    key = (req["store"], req["dir"])
    if key not in sessions:
        plain = requests.Session()
        plain.trust_env = False  # no proxies
        sessions[key] = CacheControl(plain, cache=STORES[req["store"]](req["dir"]))
    return sessions[key]


def request(req):
    """One request through the cache, as an application makes it."""
    resp = session(req).request(
        req.get("method") or "GET", req["url"], headers=req.get("headers") or {}, data=unb64(req.get("body")) or None,
        allow_redirects=False, timeout=30)
    return {
        "status": resp.status_code, "reason": resp.reason, "headers": dict(resp.headers), "body": b64(resp.content),
        "from_cache": getattr(resp, "from_cache", False),
    }


def close(req):
    for key in [k for k in sessions if k[1] == req["dir"]]:
        sessions.pop(key).close()
    return {}


def stored(req):
    """What is stored for a URL, as it is."""
    cache = session(req).get_adapter("http://").cache
    key = session(req).get_adapter("http://").controller.cache_url(requests.Request("GET", req["url"]).prepare().url)
    doc = cache.get(key)
    if doc is None:
        return {"found": False}
    response = msgpack.loads(doc[5:], raw=False)["response"]
    body = response["body"]
    if req["store"] == "SeparateBodyFileCache":
        with cache.get_body(key) as f:
            body = f.read()
    return {"found": True, "status": response["status"], "headers": response["headers"], "body": b64(body)}


def paths(req):
    """Where the entries of some URLs are, as requests hands them to the cache."""
    cache = FileCache(req["dir"])
    return {"paths": [url_to_file_path(requests.Request("GET", u).prepare().url, cache) for u in req["urls"]]}


def lock(req):
    """Takes a lock, if it is free."""
    l = filelock.FileLock(req["path"])
    try:
        l.acquire(timeout=0)
    except filelock.Timeout:
        return {"held": False}
    locks[req["path"]] = l
    return {"held": True}


def unlock(req):
    locks.pop(req["path"]).release()
    return {}


def set_entry(req):
    """Stores a value as FileCache.set does, waiting for the lock."""
    FileCache(req["dir"]).set(req["key"], unb64(req["body"]))
    return {}


def plain_request(headers):
    return requests.Request("GET", "http://example.org/", headers=headers).prepare()


def loads(req):
    """Reads documents with CacheControl's own Serializer."""
    results = []
    for doc in req["docs"]:
        data = unb64(doc["doc"])
        body_file = io.BytesIO(unb64(doc["body"])) if doc.get("separate") else None
        # prepare() would reject or change odd values, so the selecting fields are set behind its back.
        asked = plain_request({})
        asked.headers = requests.structures.CaseInsensitiveDict(
            {k: v for k, v in (doc.get("vary") or {}).items() if v is not None})
        resp = Serializer().loads(asked, data, body_file)
        if resp is None:
            results.append({"found": False})
            continue
        raw = msgpack.loads(data[5:], raw=False)
        results.append({
            "found": True, "status": resp.status, "reason": resp.reason, "version": resp.version,
            "headers": dict(resp.headers.items()), "body": b64(resp.read(decode_content=False)), "vary": raw["vary"],
        })
    return {"results": results}


def dumps(req):
    """Writes documents with CacheControl's own Serializer."""
    docs = []
    for e in req["entries"]:
        asked = plain_request({})
        asked.headers = requests.structures.CaseInsensitiveDict(
            {k: v for k, v in (e.get("vary") or {}).items() if v is not None})
        headers = urllib3.HTTPResponse(headers={}).headers
        for name, value in e["lines"]:
            headers.add(name, value)
        body = unb64(e["body"])
        resp = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=headers, status=e["status"], version=e["version"], reason=e["reason"],
            preload_content=False)
        docs.append(b64(Serializer().dumps(asked, resp, b"" if e.get("separate") else body)))
    return {"docs": docs}


def serial_entry(i):
    """The i-th of a series of entries, whose bodies say which one they are of. Neighbours differ in length."""
    body = b"%06d\n" % i * (1 + i % 7 * 1500)
    return urllib3.HTTPResponse(
        body=io.BytesIO(body), status=200, version=11, reason="OK", preload_content=False,
        headers={"X-Serial": "%06d" % i, "Content-Length": str(len(body)), "Etag": '"%d"' % i}), body


def write_many(req):
    """Stores one entry of the series after the other under one key, or several in turn, as CacheController._cache_set
    does. It counts what fails because a directory has gone."""
    cache = STORES[req["store"]](req["dir"])
    keys = req.get("keys", 1)
    gone = 0
    for i in range(req["rounds"]):
        resp, body = serial_entry(i)
        key = req["key"] + (str(i % keys) if keys > 1 else "")
        try:
            if req["store"] == "FileCache":
                cache.set(key, Serializer().dumps(plain_request({}), resp, body))
            else:
                cache.set(key, Serializer().dumps(plain_request({}), resp, b""))
                cache.set_body(key, body)
        except FileNotFoundError:
            gone += 1
    return {"gone": gone}


def read_many(req):
    """Reads a FileCache's entry again and again, and tells what is not whole."""
    cache = FileCache(req["dir"])
    problems = []
    for _ in range(req["rounds"]):
        data = cache.get(req["key"])
        resp = data and Serializer().loads(plain_request({}), data)
        if not resp:
            problems.append("missing" if data is None else "not readable")
            continue
        body = resp.read(decode_content=False)
        serial = resp.headers["X-Serial"].encode()
        if str(len(body)) != resp.headers["X-Length"] or body.strip(serial + b"\n"):
            problems.append("torn")
    return {"problems": sorted(set(problems))}


OPS = {f.__name__: f for f in (about, request, close, stored, paths, lock, unlock, set_entry, loads, dumps, write_many, read_many)}


def main():
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever else prints must not get between the answers
    for line in sys.stdin:
        req = json.loads(line)
        try:
            answer = OPS[req["op"]](req)
        except Exception as e:  # told to the test, which fails
            answer = {"error": "%s: %s" % (type(e).__name__, e)}
        out.write(json.dumps(answer) + "\n")
        out.flush()


main()
os._exit(0)  # without waiting for what a failed test has left behind
