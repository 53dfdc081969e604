"""All that a Redis holds, as bytes to search: also what RQ packs."""

import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from redis import Redis


def everything(redis: Redis) -> bytes:
    """Every key and value, as it is and unpacked."""
    return b"\n".join(said for key in redis.scan_iter() for word in _words(redis, key) for said in _unpacked(word))


def _words(redis: Redis, key: bytes) -> Iterator[bytes]:
    yield key
    match redis.type(key):
        case b"string":
            yield redis.get(key) or b""
        case b"hash":
            yield from _flat(redis.hgetall(key).items())
        case b"list":
            yield from redis.lrange(key, 0, -1)
        case b"set":
            yield from redis.smembers(key)
        case b"zset":
            yield from redis.zrange(key, 0, -1)
        case b"stream":
            for _number, fields in redis.xrange(key):
                yield from _flat(fields.items())
        case other:
            raise AssertionError(f"a kind of key that nobody reads: {other!r}")


def _flat(pairs: Any) -> Iterator[bytes]:
    for pair in pairs:
        yield from pair


def _unpacked(word: bytes) -> Iterator[bytes]:
    yield word
    with suppress(zlib.error):
        yield zlib.decompress(word)
    with suppress(ValueError, zlib.error):
        yield zlib.decompress(b64decode(word))
