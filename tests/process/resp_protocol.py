#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""
resp_protocol: every command of the socket, by a client that knows bytes only.

What is asserted of each: what it answers, what it answers to nonsense, and
that the daemon lives on.  The last lines count the tests as libcheck does.
"""
import array
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BTSTORED = os.path.join(os.environ.get("BTS_BUILDDIR", "."), "btstored")
SCRATCH = os.environ.get("TMPDIR") or tempfile.mkdtemp()
SLOW = 10 if os.environ.get("BTS_SANITIZER") == "1" else 1
TIMEOUT_S = 60


class Failure(Exception):
    """An error reply."""


class Daemon:
    """A daemon of a scratch store, in the foreground."""

    running = []

    def __init__(self, name, *options, store=None):
        self.store = store or os.path.join(SCRATCH, name + ".bts")
        self.socket = self.store + ".socket"
        self.options = options
        self.start()

    def start(self):
        here, there = os.pipe()
        self.log = open(self.store + ".log", "a")
        self.process = subprocess.Popen(
            [BTSTORED, "--foreground", "--ready-fd", str(there), *self.options, self.store],
            pass_fds=[there], stderr=self.log)
        Daemon.running.append(self)
        os.close(there)
        with os.fdopen(here) as pipe:
            self.ready = pipe.readline()
        assert self.ready.startswith("/"), f"not ready: {self.ready!r}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT_S)
        Daemon.running.remove(self)
        self.log.close()
        assert status == 0, f"exit status {status}: {open(self.store + '.log').read()}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        Daemon.running.remove(self)
        self.log.close()

    def alive(self):
        return self.process.poll() is None


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(path)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def take(self, size):
        chunks = [self.buffer]
        have = len(self.buffer)
        while have < size:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            chunks.append(data)
            have += len(data)
        whole = b"".join(chunks)
        self.buffer = whole[size:]
        return whole[:size]

    def read(self):
        """One reply; errors are returned as Failure."""
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Failure(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.take(size + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        raise AssertionError(f"no reply: {line!r}")

    def __call__(self, *words):
        self.send(encode(*words))
        reply = self.read()
        if isinstance(reply, Failure):
            raise reply
        return reply

    def gone(self):
        """Whether the daemon has closed the connection; what it still said is dropped."""
        try:
            while True:
                self.fill()
        except (EOFError, ConnectionResetError):
            return True
        except socket.timeout:
            return False


def refuses(call, *words, word="ERR", text=""):
    try:
        reply = call(*words)
    except Failure as failure:
        said = str(failure)
        assert said.startswith(word + " "), f"{words}: {said!r} does not begin with {word}"
        assert text in said, f"{words}: {said!r} does not say {text!r}"
        return said
    raise AssertionError(f"{words}: no error but {reply!r}")


def equal(got, wanted):
    assert got == wanted, f"got {got!r:.300}, wanted {wanted!r:.300}"


TESTS = []


def test(function):
    TESTS.append(function)
    return function


# ---- keys --------------------------------------------------------------------------


@test
def set_and_get_with_all_their_options(c):
    equal(c("SET", "k", "v"), "OK")
    equal(c("GET", "k"), b"v")
    equal(c("GET", "nothing"), None)
    equal(c("SET", "k", "w", "NX"), None)
    equal(c("GET", "k"), b"v")
    equal(c("SET", "fresh", "w", "nx"), "OK")
    equal(c("SET", "k", "w", "XX"), "OK")
    equal(c("SET", "absent", "w", "XX"), None)
    equal(c("GET", "absent"), None)
    equal(c("SET", "k", "x", "GET"), b"w")
    equal(c("SET", "k2", "x", "GET"), None)
    equal(c("SET", "k", "y", "NX", "GET"), b"x")
    equal(c("GET", "k"), b"x")
    equal(c("SET", "k3", "y", "NX", "GET"), None)
    equal(c("GET", "k3"), b"y")
    for option in ("EX", "PX", "EXAT", "PXAT"):
        refuses(c, "SET", "k", "v", option, "10",
                text=f"option {option}: keys that expire are not supported yet")
    refuses(c, "SET", "k", "v", "KEEPTTL", text="KEEPTTL")
    refuses(c, "SET", "k", "v", "NX", "XX", text="syntax error")
    refuses(c, "SET", "k", "v", "bogus", text="syntax error")
    refuses(c, "SET", "k", text="wrong number of arguments for 'set' command")
    equal(c("GET", "k"), b"x")


@test
def keys_and_values_are_any_bytes(c):
    everything = bytes(range(256)) * 3
    for value in (b"", b"\r\n", b"\0", everything, os.urandom(100000), bytes(3 << 20)):
        equal(c("SET", everything, value), "OK")
        equal(c("GET", everything), value)
        equal(c("STRLEN", everything), len(value))


@test
def limits_are_named(c):
    refuses(c, "SET", "", "v", text="")
    refuses(c, "SET", b"k" * 5000, "v", word="LIMIT")
    equal(c("GET", b"k" * 5000), None)
    refuses(c, "SET", "k", bytes((64 << 20) + 1), word="LIMIT")
    equal(c("PING"), "PONG")


@test
def many_keys_at_once(c):
    equal(c("MSET", "a", "1", "b", "2", "c", "3"), "OK")
    equal(c("MGET", "a", "x", "b", "c"), [b"1", None, b"2", b"3"])
    refuses(c, "MSET", "a", "1", "b", text="wrong number of arguments")
    refuses(c, "MSET", "a")
    refuses(c, "MGET")
    equal(c("EXISTS", "a", "b", "x", "a"), 3)
    equal(c("DEL", "a", "x", "b"), 2)
    equal(c("UNLINK", "c", "c"), 1)
    equal(c("EXISTS", "a", "b", "c"), 0)
    pairs = [word for i in range(5000) for word in (f"many{i:05}", i)]
    equal(c("MSET", *pairs), "OK")
    equal(c("MGET", *pairs[::2]), [b"%d" % i for i in range(5000)])
    equal(c("DEL", *pairs[::2]), 5000)


@test
def a_command_of_ten_thousand_words(c):
    equal(c("DEL", *[f"w{i}" for i in range(10000)]), 0)
    equal(c("MGET", *["k"] * 10000), [None] * 10000)
    refuses(c, "NOSUCH", *["k"] * 10000, text="unknown command 'NOSUCH'")


@test
def counters(c):
    equal(c("INCR", "n"), 1)
    equal(c("INCRBY", "n", "41"), 42)
    equal(c("DECR", "n"), 41)
    equal(c("DECRBY", "n", "-9"), 50)
    equal(c("GET", "n"), b"50")
    equal(c("SET", "big", (1 << 63) - 1), "OK")
    refuses(c, "INCR", "big")
    equal(c("GET", "big"), b"9223372036854775807")
    c("SET", "text", "abc")
    refuses(c, "INCR", "text")
    equal(c("GET", "text"), b"abc")
    for number in ("", "x", "1x", "1.5", "9223372036854775808", " 1", "--1"):
        refuses(c, "INCRBY", "n", number, text="not an integer")
    refuses(c, "DECRBY", "n", -(1 << 63), text="overflow")
    equal(c("INCRBY", "m", -(1 << 63)), -(1 << 63))


@test
def old_style_commands(c):
    equal(c("SETNX", "k", "1"), 1)
    equal(c("SETNX", "k", "2"), 0)
    equal(c("GETSET", "k", "3"), b"1")
    equal(c("GETSET", "k2", "3"), None)
    equal(c("GETDEL", "k"), b"3")
    equal(c("GETDEL", "k"), None)
    equal(c("STRLEN", "k2"), 1)
    equal(c("STRLEN", "k"), 0)
    equal(c("TYPE", "k2"), "string")
    equal(c("TYPE", "k"), "none")


# ---- walking -----------------------------------------------------------------------


def scan_all(c, *options):
    cursor, found, rounds = b"0", [], 0
    while True:
        cursor, keys = c("SCAN", cursor, *options)
        found += keys
        rounds += 1
        if cursor == b"0":
            return found, rounds


@test
def scan_returns_each_key_once(c):
    keys = [b"key:%04d" % i for i in range(1000)]
    c("MSET", *[word for key in keys for word in (key, "v")])
    equal(scan_all(c)[0], keys)
    found, rounds = scan_all(c, "COUNT", "300")
    equal((found, rounds), (keys, 4))
    equal(scan_all(c, "MATCH", "key:00*")[0], keys[:100])
    equal(scan_all(c, "MATCH", "*9", "COUNT", "1000000")[0], keys[9::10])
    equal(scan_all(c, "TYPE", "string", "COUNT", "500")[0], keys)
    equal(scan_all(c, "TYPE", "hash", "COUNT", "500")[0], [])
    equal(c("DBSIZE"), 1000)
    cursor, _ = c("SCAN", "0")
    equal([c("SCAN", cursor)[1] for _ in range(3)], [keys[10:20]] * 3)
    refuses(c, "SCAN", "notanumber", text="invalid cursor")
    refuses(c, "SCAN", "123456789", word="NOTFOUND", text="begin again")
    refuses(c, "SCAN", "0", "COUNT", "0", text="syntax")
    refuses(c, "SCAN", "0", "COUNT", "x", text="not an integer")
    refuses(c, "SCAN", "0", "COUNT", text="syntax")
    refuses(c, "SCAN", "0", "BOGUS", "1", text="syntax")


@test
def a_scan_survives_changes_around_it(c):
    keys = [b"key:%04d" % i for i in range(500)]
    c("MSET", *[word for key in keys for word in (key, "v")])
    cursor, found = c("SCAN", "0", "COUNT", "100")
    c("DEL", *keys[50:150])
    c("SET", "aaa", "before")
    c("SET", "key:0300x", "new")
    while cursor != b"0":
        cursor, more = c("SCAN", cursor, "COUNT", "100")
        found += more
    equal(found, keys[:100] + keys[150:301] + [b"key:0300x"] + keys[301:])


@test
def keys_matches_like_redis(c):
    c("MSET", *[word for key in ("hello", "hallo", "hxllo", "hllo", "heeello", "h[llo", "H*llo")
                for word in (key, "v")])
    for pattern, wanted in (("h?llo", "h[llo hallo hello hxllo"), ("h*llo", "h[llo hallo heeello "
                            "hello hllo hxllo"), ("h[ae]llo", "hallo hello"),
                            ("h[^e]llo", "h[llo hallo hxllo"), ("h[a-b]llo", "hallo"),
                            ("h\\[llo", "h[llo"), ("H\\*llo", "H*llo"), ("nothing", ""),
                            ("hello", "hello"), ("*e*", "heeello hello")):
        equal(b" ".join(c("KEYS", pattern)).decode(), wanted)
    equal(len(c("KEYS", "*")), 7)


@test
def a_hostile_pattern_is_answered_in_time(c):
    c("MSET", *[word for i in range(200) for word in (b"a" * 900 + b"%04d" % i, "v")])
    began = time.monotonic()
    equal(c("KEYS", "a*" * 500 + "b"), [])
    equal(c("KEYS", "*a" * 500 + "b"), [])
    equal(c("KEYS", "[" * 2000), [])
    refuses(c, "KEYS", "*" * 5000, word="LIMIT", text="pattern")
    c("SCAN", "0", "MATCH", "a*" * 2000 + "b", "COUNT", "10000")
    took = time.monotonic() - began
    assert took < 5 * SLOW, f"took {took:.1f} s"


@test
def a_range_has_bounds_of_both_kinds(c):
    keys = [b"a", b"b", b"c", b"d"]
    for key in keys:
        c("SET", key, b"v" + key)

    def in_range(*words):
        flat = c("BTS.RANGE", "default", *words)
        equal(flat[1::2], [b"v" + key for key in flat[::2]])
        return b"".join(flat[::2])

    equal(in_range("-", "+"), b"abcd")
    equal(in_range("[b", "[c"), b"bc")
    equal(in_range("(b", "[c"), b"c")
    equal(in_range("[b", "(c"), b"b")
    equal(in_range("(b", "(c"), b"")
    equal(in_range("-", "(c"), b"ab")
    equal(in_range("(a", "+"), b"bcd")
    equal(in_range("[bb", "+"), b"cd")
    equal(in_range("-", "+", "REVERSE"), b"dcba")
    equal(in_range("-", "+", "LIMIT", 2), b"ab")
    equal(in_range("-", "+", "limit", 2, "reverse"), b"dc")
    equal(in_range("-", "+", "REVERSE", "LIMIT", 0), b"")
    equal(in_range("[d", "[a"), b"")
    for words in (("b", "+"), ("-", "-"), ("", "+"), ("-", "+", "LIMIT"),
                  ("-", "+", "LIMIT", "x"), ("-", "+", "LIMIT", "-1"), ("-", "+", "SIDEWAYS")):
        refuses(c, "BTS.RANGE", "default", *words)
    refuses(c, "BTS.RANGE", "nowhere", "-", "+", word="NOBUCKET")
    refuses(c, "BTS.RANGE", "default", "-")


# ---- buckets -----------------------------------------------------------------------


@test
def buckets_have_names_and_numbers(c):
    number = c("BTS.BUCKET", "CREATE", "users")
    assert number > 0
    refuses(c, "BTS.BUCKET", "CREATE", "users", word="EXISTS")
    refuses(c, "BTS.BUCKET", "CREATE", "123", text="number")
    refuses(c, "BTS.BUCKET", "CREATE", "")
    refuses(c, "BTS.BUCKET", "CREATE", "x" * 256, word="LIMIT")
    c("SET", "k", "in default")
    equal(c("SELECT", "users"), "OK")
    equal(c("GET", "k"), None)
    equal(c("SET", "k", "in users"), "OK")
    equal(c("SELECT", "0"), "OK")
    equal(c("GET", "k"), b"in default")
    equal(c("SELECT", number), "OK")
    equal(c("GET", "k"), b"in users")
    equal(c("DBSIZE"), 1)
    refuses(c, "SELECT", "nowhere", word="NOBUCKET", text="nowhere")
    refuses(c, "SELECT", "4711", word="NOBUCKET")
    refuses(c, "SELECT", "99999999999999999999", word="NOBUCKET")
    refuses(c, "SELECT", "", word="NOBUCKET")
    equal(c("GET", "k"), b"in users")
    names = {name: (ident, entries) for name, ident, entries in c("BTS.BUCKET", "LIST")}
    equal(names[b"users"], (number, 1))
    equal(names[b"default"][0], 0)
    info = c("BTS.BUCKET", "INFO", "users")
    info = dict(zip(info[::2], info[1::2]))
    equal((info[b"name"], info[b"id"], info[b"entries"]), (b"users", number, 1))
    refuses(c, "BTS.BUCKET", "INFO", "nowhere", word="NOBUCKET")
    equal(c("BTS.BUCKET", "RENAME", "users", "people"), "OK")
    equal(c("GET", "k"), b"in users")
    equal(c("SET", "k", "still"), "OK")
    refuses(c, "BTS.BUCKET", "RENAME", "nowhere", "x", word="NOBUCKET")
    refuses(c, "BTS.BUCKET", "RENAME", "people", "default", word="EXISTS")
    refuses(c, "BTS.BUCKET", "DROP", "default")
    equal(c("BTS.BUCKET", "DROP", "people"), "OK")
    refuses(c, "GET", "k", word="NOBUCKET")
    refuses(c, "SET", "k", "v", word="NOBUCKET")
    refuses(c, "DBSIZE", word="NOBUCKET")
    refuses(c, "SCAN", "0", word="NOBUCKET")
    refuses(c, "BTS.BUCKET", "DROP", "people", word="NOBUCKET")
    refuses(c, "BTS.BUCKET", "NONSENSE", text="unknown subcommand")
    refuses(c, "BTS.BUCKET", text="wrong number")
    c("SELECT", "default")


@test
def flushdb_empties_one_bucket(c):
    c("BTS.BUCKET", "CREATE", "other")
    c("SET", "keep", "me")
    c("SELECT", "other")
    c("MSET", *[word for i in range(2000) for word in (f"k{i}", "v")])
    equal(c("DBSIZE"), 2000)
    equal(c("FLUSHDB"), "OK")
    equal(c("DBSIZE"), 0)
    refuses(c, "FLUSHDB", "BOGUS")
    c("SELECT", "0")
    equal(c("GET", "keep"), b"me")
    c("BTS.BUCKET", "DROP", "other")


# ---- transactions ------------------------------------------------------------------


@test
def a_transaction_answers_as_one(c):
    equal(c("MULTI"), "OK")
    for words in (("SET", "a", "1"), ("GET", "a"), ("INCR", "a"), ("MGET", "a", "x"),
                  ("EXISTS", "a", "x", "a"), ("STRLEN", "a"), ("TYPE", "x"), ("DEL", "a", "x"),
                  ("SET", "a", "z", "NX"), ("SET", "a", "y", "NX"), ("GETSET", "a", "w"),
                  ("SETNX", "b", "1"), ("GETDEL", "b"), ("MSET", "p", "1", "q", "2"),
                  ("BTS.BUCKET", "CREATE", "made"), ("BTS.BUCKET", "DROP", "made")):
        equal(c(*words), "QUEUED")
    replies = c("EXEC")
    assert isinstance(replies[14], int)
    replies[14] = "a number"
    equal(replies, ["OK", b"1", 2, [b"2", None], 2, 1, "none", 1, "OK", None, b"z", 1, b"1",
                    "OK", "a number", "OK"])
    equal(c("MGET", "a", "b", "p", "q"), [b"w", None, b"1", b"2"])


@test
def a_transaction_that_fails_writes_nothing(c):
    c("SET", "text", "abc")
    c("MULTI")
    c("SET", "first", "1")
    c("INCR", "text")
    refuses(c, "EXEC")
    equal(c("GET", "first"), None)
    c("MULTI")
    c("SET", "first", "1")
    refuses(c, "NOSUCH")
    refuses(c, "SET", "k")
    refuses(c, "INCRBY", "k", "x")
    refuses(c, "PING", text="cannot be part of a MULTI")
    refuses(c, "EXEC", word="EXECABORT")
    equal(c("GET", "first"), None)
    equal(c("MULTI"), "OK")
    refuses(c, "MULTI", text="nested")
    c("SET", "first", "1")
    equal(c("DISCARD"), "OK")
    equal(c("GET", "first"), None)
    refuses(c, "EXEC", text="without MULTI")
    refuses(c, "DISCARD", text="without MULTI")
    equal(c("MULTI"), "OK")
    equal(c("EXEC"), [])
    refuses(c, "WATCH", "k", text="not supported yet")
    equal(c("UNWATCH"), "OK")
    c("MULTI")
    refuses(c, "BTS.COMMIT", batch(("put", b"k", b"v")), text="MULTI")
    refuses(c, "EXEC", word="EXECABORT")


@test
def a_transaction_stays_in_its_bucket(c):
    c("BTS.BUCKET", "CREATE", "home")
    c("SELECT", "home")
    c("MULTI")
    c("BTS.BUCKET", "CREATE", "elsewhere")
    c("SET", "k", "v")
    c("EXEC")
    equal(c("GET", "k"), b"v")
    c("SELECT", "0")
    equal(c("GET", "k"), None)
    c("BTS.BUCKET", "DROP", "home")
    c("BTS.BUCKET", "DROP", "elsewhere")


# ---- order -------------------------------------------------------------------------


@test
def pipelined_requests_are_answered_in_order(c):
    requests, wanted = [], []
    for i in range(2000):
        requests.append(encode("SET", f"k{i % 50}", i))
        wanted.append("OK")
        if i % 3 == 0:
            requests.append(encode("GET", f"k{i % 50}"))
            wanted.append(b"%d" % i)
        if i % 7 == 0:
            requests.append(encode("INCR", "count"))
            wanted.append(i // 7 + 1)
        if i % 11 == 0:
            requests.append(encode("NOSUCH"))
            wanted.append("error")
        if i % 13 == 0:
            requests.append(encode("SET", "k", "v", "BOGUS"))
            wanted.append("error")
        if i % 17 == 0:
            requests += [encode("MULTI"), encode("SET", "t", i), encode("GET", "t"), encode("EXEC")]
            wanted += ["OK", "QUEUED", "QUEUED", ["OK", b"%d" % i]]
    whole = b"".join(requests)
    sender = threading.Thread(target=c.send, args=(whole,))
    sender.start()
    for want in wanted:
        got = c.read()
        equal("error" if isinstance(got, Failure) else got, want)
    sender.join()


@test
def a_request_may_come_byte_by_byte(c):
    for byte in encode("SET", "slow", "motion") + encode("GET", "slow") + b"PING\r\n":
        c.send(bytes([byte]))
    equal([c.read(), c.read(), c.read()], ["OK", b"motion", "PONG"])


@test
def a_client_that_does_not_read_is_waited_for(c):
    c("SET", "large", bytes(1 << 20))
    count = 100
    sender = threading.Thread(target=c.send, args=(encode("GET", "large") * count,))
    sender.start()
    time.sleep(0.3)
    other = Client(c.daemon.socket)
    equal(other("PING"), "PONG")
    info = other("INFO", "memory").decode()
    resident = int(info.split("used_memory_rss:")[1].split()[0])
    assert resident < (1 << 30) * SLOW, f"{resident} bytes resident"
    other.close()
    for _ in range(count):
        equal(len(c.read()), 1 << 20)
    sender.join()


@test
def inline_requests_work(c):
    c.send(b"SET inline 1\r\nGET inline\nset 'two words' \"x y\"\r\n\r\nget 'two words'\r\n")
    equal([c.read() for _ in range(4)], ["OK", b"1", "OK", b"x y"])


@test
def a_reply_beyond_all_bounds_is_an_error(c):
    c("SET", "large", bytes(60 << 20))
    refuses(c, "MGET", *["large"] * 5, word="LIMIT", text="256 MiB")
    equal(c("PING"), "PONG")
    c("DEL", "large")


@test
def who_asks_for_more_than_it_reads_is_closed(c):
    if SLOW > 1:
        return # its memory is too much for a sanitizer's shadow
    c("SET", "large", bytes(60 << 20))
    greedy = [Client(c.daemon.socket) for _ in range(6)]
    for peer in greedy:
        peer.send(encode("MGET", *["large"] * 4))
    end = time.monotonic() + 120  # 1.4 GiB are made first
    while "connected_clients:7\r" in c("INFO", "clients").decode():
        assert time.monotonic() < end, "all of them are still there"
        time.sleep(0.05)
    for peer in greedy:
        peer.close()
    c("DEL", "large")


# ---- hostile bytes -----------------------------------------------------------------


@test
def bytes_that_are_no_request_are_answered_once(c):
    for bad in (b"*1\r\n:1\r\n", b"*x\r\n", b"*1048577\r\n", b"*99999999999999999999\r\n",
                b"*1\r\n$-5\r\n", b"*1\r\n$99999999999\r\n", b"*1\r\n$536870913\r\n",
                b"*1\r\n$3\r\nabcd\r\n", b"*2\r\n$4\r\nPING\r\n+OK\r\n", b'SET "open\r\n',
                b"x" * 70000, b"*1\r\n$4\rPING\r\n"):
        peer = Client(c.daemon.socket)
        peer.send(encode("SET", "k", "v") + bad + encode("SET", "k", "never"))
        equal(peer.read(), "OK")
        reply = peer.read()
        assert isinstance(reply, Failure) and "Protocol error" in str(reply), f"{bad}: {reply!r}"
        assert peer.gone(), f"{bad}: the connection stays open"
        peer.close()
    equal(c("GET", "k"), b"v")


@test
def named_lengths_are_not_believed(c):
    peers = []
    for _ in range(50):
        peer = Client(c.daemon.socket)
        peer.send(b"*2\r\n$4\r\nECHO\r\n$500000000\r\nabc")
        peers.append(peer)
    for _ in range(50):
        peer = Client(c.daemon.socket)
        peer.send(b"*1048576\r\n" + b"$1\r\nx\r\n" * 100)
        peers.append(peer)
    time.sleep(0.2)
    info = c("INFO", "memory").decode()
    buffers = int(info.split("client_input_bytes:")[1].split()[0])
    assert buffers < 100 << 20, f"{buffers} bytes for input"
    for peer in peers:
        peer.close()
    equal(c("PING"), "PONG")


@test
def half_a_request_and_a_hang_up_change_nothing(c):
    c("SET", "k", "before")
    whole = encode("SET", "k", "after")
    for size in range(1, len(whole)):
        peer = Client(c.daemon.socket)
        peer.send(whole[:size])
        peer.close()
    equal(c("GET", "k"), b"before")


@test
def a_large_request_arrives_whole(c):
    value = os.urandom(1 << 20) * 40
    equal(c("SET", "large", value), "OK")
    assert c("GET", "large") == value
    equal(c("DEL", "large"), 1)


@test
def a_client_may_close_its_half_and_still_be_answered(c):
    peer = Client(c.daemon.socket)
    peer.send(encode("SET", "half", "1") * 10 + encode("GET", "half"))
    peer.socket.shutdown(socket.SHUT_WR)
    equal([peer.read() for _ in range(11)], ["OK"] * 10 + [b"1"])
    assert peer.gone()


@test
def random_bytes_harm_nobody(c):
    state = 12345
    for _ in range(300 // SLOW):
        data = bytearray()
        for _ in range(200):
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            data.append(state >> 56)
        peer = Client(c.daemon.socket)
        try:
            peer.send(encode(bytes(data[:8]), bytes(data[8:20])) + bytes(data) + b"\r\n")
        except BrokenPipeError:
            pass
        peer.close()
    equal(c("PING"), "PONG")


# ---- the connection ----------------------------------------------------------------


@test
def hello_switches_the_protocol(c):
    reply = c("HELLO")
    pairs = dict(zip(reply[::2], reply[1::2]))
    equal(pairs[b"proto"], 2)
    reply = c("HELLO", "3", "SETNAME", "tester")
    equal((reply[b"proto"], reply[b"server"], reply[b"role"]), (3, b"btstore", b"master"))
    assert b"version" in reply and b"btstore_version" in reply
    equal(c("CLIENT", "GETNAME"), b"tester")
    c.send(encode("GET", "nothing"))
    equal(c.line(), b"_")
    c.send(encode("CONFIG", "GET", "save"))
    equal(c.line(), b"%1")
    equal([c.read(), c.read()], [b"save", b""])
    refuses(c, "HELLO", "4", word="NOPROTO")
    refuses(c, "HELLO", "x", word="NOPROTO")
    refuses(c, "HELLO", "3", "AUTH", "a", "b", text="user id")
    refuses(c, "HELLO", "3", "SETNAME", text="yntax")
    refuses(c, "HELLO", "3", "SETNAME", "two words")
    c("HELLO", "2")
    c.send(encode("GET", "nothing"))
    equal(c.line(), b"$-1")


@test
def small_talk(c):
    equal(c("PING"), "PONG")
    equal(c("ping", "hi"), b"hi")
    refuses(c, "PING", "a", "b")
    equal(c("ECHO", "x\r\ny"), b"x\r\ny")
    refuses(c, "ECHO")
    ident = c("CLIENT", "ID")
    assert ident > 0
    equal(c("CLIENT", "GETNAME"), None)
    equal(c("CLIENT", "SETNAME", "me"), "OK")
    equal(c("CLIENT", "GETNAME"), b"me")
    refuses(c, "CLIENT", "SETNAME", "a b")
    refuses(c, "CLIENT", "SETNAME", "x" * 300)
    equal(c("CLIENT", "SETINFO", "lib-name", "py"), "OK")
    equal(c("CLIENT", "SETINFO", "LIB-VER", "1.0"), "OK")
    refuses(c, "CLIENT", "SETINFO", "color", "red")
    assert f"id={ident} ".encode() in c("CLIENT", "LIST")
    assert b"name=me" in c("CLIENT", "INFO")
    equal(c("CLIENT", "NO-EVICT", "on"), "OK")
    refuses(c, "CLIENT", "KILL", text="unknown subcommand")
    refuses(c, "CLIENT")
    refuses(c, "AUTH", "secret")
    c("HELLO", "3")
    c("MULTI")
    equal(c("RESET"), "RESET")
    equal(c("CLIENT", "GETNAME"), None)
    refuses(c, "EXEC", text="without MULTI")
    peer = Client(c.daemon.socket)
    peer.send(encode("SET", "k", "v") + encode("QUIT") + encode("SET", "k", "never"))
    equal([peer.read(), peer.read()], ["OK", "OK"])
    assert peer.gone()
    equal(c("GET", "k"), b"v")


@test
def unknown_commands_are_named(c):
    equal(refuses(c, "foo", "a", "b c"),
          "ERR unknown command 'foo', with args beginning with: 'a' 'b c' ")
    refuses(c, b"\0\xff\r\n", text="unknown command '????'")
    refuses(c, b"", text="unknown command ''")
    refuses(c, "x" * 100000, text="unknown command 'xxx")
    refuses(c, "GET", text="wrong number of arguments for 'get' command")
    refuses(c, "GET", "a", "b", text="wrong number of arguments for 'get' command")


@test
def the_daemon_tells_about_itself(c):
    info = c("INFO").decode()
    for field in ("redis_version:7.", "btstore_version:", "process_id:", "connected_clients:",
                  "used_memory:", "total_commands_processed:", "db0:keys=", "role:master",
                  "txnid:", "store_path:" + c.daemon.store):
        assert field in info, f"INFO lacks {field}"
    assert "redis_version" not in c("INFO", "keyspace").decode()
    assert "# Server" in c("INFO", "server", "keyspace").decode()
    equal(c("INFO", "nonsense"), b"")
    count = c("COMMAND", "COUNT")
    commands = c("COMMAND")
    equal(len(commands), count)
    assert all(len(command) == 6 for command in commands)
    get, nothing = c("COMMAND", "INFO", "get", "nosuch")
    equal((get[:2], nothing), ([b"get", 2], None))
    equal(c("COMMAND", "DOCS"), [])
    equal(c("CONFIG", "GET", "save", "appendonly"), [b"appendonly", b"yes", b"save", b""])
    equal(c("CONFIG", "GET", "nothing*"), [])
    refuses(c, "CONFIG", "SET", "save", "1")
    seconds, micros = c("TIME")
    assert abs(int(seconds) - time.time()) < 5 and 0 <= int(micros) < 1000000
    equal(c("WAITAOF", "1", "0", "0"), [1, 0])
    refuses(c, "WAITAOF", "2", "0", "0")
    refuses(c, "WAITAOF", "x", "0", "0")
    equal(c("BTS.DURABILITY"), "durable")
    equal(c("BTS.DURABILITY", "RELAXED"), "relaxed")
    equal(c("SET", "soon", "durable"), "OK")
    equal(c("GET", "soon"), b"durable")
    equal(c("DEL", "soon"), 1)
    equal(c("WAITAOF", "1", "0", "0"), [1, 0])
    refuses(c, "BTS.DURABILITY", "none")
    refuses(c, "BTS.DURABILITY", "DURABLE", "RELAXED")
    equal(c("BTS.DURABILITY"), "relaxed")
    equal(c("BTS.DURABILITY", "durable"), "durable")


# ---- native ------------------------------------------------------------------------

TYPES = {"use": 1, "use_id": 2, "put": 3, "delete": 4, "delete_range": 5, "increment": 6,
         "create": 8, "drop": 9, "absent": 11, "present": 12, "equal": 13}


def batch(*operations):
    body = b""
    for operation in operations:
        first = operation[1] if len(operation) > 1 else b""
        second = operation[2] if len(operation) > 2 else b""
        body += struct.pack("<BBHI", TYPES[operation[0]], 0, len(first), len(second))
        body += first + second
    return struct.pack("<4sIQII", b"btb1", 0, 0, len(operations), 24 + len(body)) + body


@test
def a_native_batch_is_committed(c):
    one = c("BTS.COMMIT", batch(("put", b"native", b"1")))
    two = c("BTS.COMMIT", batch(("equal", b"native", b"1"), ("put", b"native", b"2")))
    assert two > one > 0
    equal(c("GET", "native"), b"2")
    refuses(c, "BTS.COMMIT", batch(("equal", b"native", b"1"), ("put", b"native", b"3")),
            word="CONFLICT")
    refuses(c, "BTS.COMMIT", batch(("use", b"nowhere"), ("put", b"k", b"v")), word="NOBUCKET")
    refuses(c, "BTS.COMMIT", batch(("put", b"", b"v")))
    refuses(c, "BTS.COMMIT", batch(("put", b"k" * 2000, b"v")), word="LIMIT")
    good = batch(("put", b"native", b"4"), ("delete", b"x"))
    for bad in (b"", b"x", good[:-1], good + b"x", b"btb2" + good[4:],
                good[:16] + struct.pack("<I", 3) + good[20:],
                good[:28] + b"\xff\xff\x00\x00" + good[32:], good[:24] + b"\x63" + good[25:]):
        refuses(c, "BTS.COMMIT", bad)
    equal(c("GET", "native"), b"2")
    refuses(c, "BTS.COMMIT")
    peers = [Client(c.daemon.socket) for _ in range(8)]
    for peer in peers:
        peer.send(encode("BTS.COMMIT", batch(("increment", b"sum", struct.pack("<q", 1)))) * 100)
    for peer in peers:
        for _ in range(100):
            assert isinstance(peer.read(), int)
        peer.close()
    equal(c("GET", "sum"), b"800")


def attach(c, *words):
    """The reply as a map, and the descriptors that came with its first byte."""
    c.send(encode("BTS.ATTACH", *words))
    data, control, flags, _ = c.socket.recvmsg(1 << 16, socket.CMSG_SPACE(4 * 16))
    assert not flags & socket.MSG_CTRUNC
    fds = array.array("i")
    for level, kind, content in control:
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        fds.frombytes(content)
    c.buffer = data
    reply = c.read()
    if isinstance(reply, Failure):
        raise reply
    return dict(zip(reply[::2], reply[1::2])), list(fds)


@test
def attach_hands_over_three_descriptors(c):
    equal(c("BTS.READERS"), [])
    pairs, fds = attach(c, "1")
    equal((pairs[b"abi"], pairs[b"page_size"], len(pairs[b"uuid"])), (1, 4096, 32))
    equal(pairs[b"path"].decode(), c.daemon.store)
    assert b"version" in pairs and pairs[b"generation"] >= 1
    equal(len(fds), 3)
    data, beacon, slot = fds
    equal(os.pread(data, 8, 32), b"btstore\n")
    equal(os.pread(beacon, 8, 0), b"btsbeac\n")
    equal(os.pread(slot, 8, 0), b"btsslot\n")
    equal((os.fstat(beacon).st_size, os.fstat(slot).st_size), (4096, 65536))
    for fd in (data, beacon):
        try:
            os.pwrite(fd, b"x", 0)
        except OSError:
            continue
        raise AssertionError("a descriptor that must be read-only can be written")
    equal(c("PING"), "PONG")
    readers = c("BTS.READERS")
    equal(len(readers), 1)
    equal((readers[0][0], readers[0][1], readers[0][2]), (os.getpid(), os.getuid(), 0))

    txnid = struct.unpack("<Q", os.pread(beacon, 8, 64))[0]
    os.pwrite(slot, struct.pack("<I", 2), 12)
    os.pwrite(slot, struct.pack("<Q", txnid), 64 + 64)
    readers = c("BTS.READERS")
    equal(readers[0][2:4], [1, txnid])
    os.ftruncate(slot, 100)
    c("SET", "after", "the cut")
    equal(c("BTS.READERS")[0][2:4], [0, 0])
    for fd in fds:
        os.close(fd)
    end = time.monotonic() + 120  # 1.4 GiB are made first
    while c("BTS.READERS"):
        assert time.monotonic() < end, "a reader that is gone is still listed"
        time.sleep(0.01)
    refuses(c, "BTS.ATTACH", "2", word="VERSION")
    refuses(c, "BTS.ATTACH", "x", word="VERSION")
    pairs, fds = attach(c)
    equal(pairs[b"abi"], 1)
    for fd in fds:
        os.close(fd)


@test
def descriptors_nobody_takes_do_not_leak(c):
    def open_files():
        return len(os.listdir(f"/proc/{c.daemon.process.pid}/fd"))

    end = time.monotonic() + 120  # 1.4 GiB are made first
    while c("BTS.READERS"):
        assert time.monotonic() < end, "a reader that is gone is still listed"
        time.sleep(0.01)
    before = open_files()
    for _ in range(20):
        peer = Client(c.daemon.socket)
        peer.send(encode("PING") + encode("BTS.ATTACH") + encode("PING"))
        peer.close()
    for _ in range(20):
        peer = Client(c.daemon.socket)
        peer.send(encode("PING") + encode("BTS.ATTACH") * 3 + encode("PING"))
        while peer.buffer.count(b"+PONG\r\n") < 2:
            peer.fill() # a plain recv: the kernel drops the descriptors
        peer.close()
    end = time.monotonic() + 120  # 1.4 GiB are made first
    while c("BTS.READERS") or open_files() > before:
        assert time.monotonic() < end, f"{open_files()} files open, were {before}"
        time.sleep(0.05)


@test
def a_checkpoint_is_answered_when_it_is_durable(c):
    c("SET", "k", "v")
    txnid, root, depth, buckets, pages = c("BTS.CHECKPOINT")
    assert txnid > 0 and root > 0 and depth > 0 and buckets >= 1 and pages > 4
    stat = c("BTS.STAT")
    stat = dict(zip(stat[::2], stat[1::2]))
    assert stat[b"checkpoint_txnid"] >= txnid
    equal(stat[b"page_size"], 4096)
    pinned = c("BTS.CHECKPOINT", "PIN")
    assert pinned[0] >= txnid
    c.send(encode("SET", "k", "w") + encode("BTS.CHECKPOINT", "PIN") + encode("GET", "k") +
           encode("BTS.CHECKPOINT"))
    equal(c.read(), "OK")
    assert c.read()[0] > pinned[0]
    equal(c.read(), b"w")
    assert c.read()[0] > 0
    refuses(c, "BTS.CHECKPOINT", "NAIL")
    for _ in range(20):
        peer = Client(c.daemon.socket)
        peer.send(encode("SET", "k", "v") + encode("BTS.CHECKPOINT", "PIN"))
        peer.close()
    equal(c("PING"), "PONG")


# ---- the daemon as a whole ---------------------------------------------------------


def fails_to_start(*options, store, status=1, text=""):
    done = subprocess.run([BTSTORED, *options, store], capture_output=True, text=True, timeout=60)
    equal(done.returncode, status)
    assert text in done.stderr, f"{done.stderr!r} does not say {text!r}"
    assert done.stderr.count("\n") == 1, f"not one line: {done.stderr!r}"


@test
def one_daemon_serves_a_store(c):
    fails_to_start("--foreground", store=c.daemon.store, status=75)
    fails_to_start(store=c.daemon.store, status=75)
    copy = os.path.join(SCRATCH, "link.bts")
    os.symlink(c.daemon.store, copy)
    fails_to_start("--foreground", store=copy, status=75)
    os.unlink(copy)
    equal(c("PING"), "PONG")


@test
def a_daemon_that_cannot_start_says_why(c):
    fails_to_start("--foreground", store=os.path.join(SCRATCH, "no", "such", "x.bts"))
    fails_to_start("--foreground", "--must-exist", store=os.path.join(SCRATCH, "missing.bts"))
    assert not os.path.exists(os.path.join(SCRATCH, "missing.bts"))
    plain = os.path.join(SCRATCH, "plain.txt")
    with open(plain, "w") as file:
        file.write("not a store\n" * 1000)
    fails_to_start("--foreground", store=plain)
    with open(plain) as file:
        equal(file.read(), "not a store\n" * 1000)
    fails_to_start("--foreground", "--group", "nosuchgroup",
                   store=os.path.join(SCRATCH, "group.bts"), text="nosuchgroup")
    fails_to_start("--foreground", "--socket", os.path.join(SCRATCH, "no", "sock"),
                   store=os.path.join(SCRATCH, "group.bts"), text="no directory")
    fails_to_start("--foreground", "--socket", plain,
                   store=os.path.join(SCRATCH, "group.bts"), text="is no socket")
    fails_to_start("--foreground", "--socket", c.daemon.socket,
                   store=os.path.join(SCRATCH, "group.bts"), text="")
    equal(len(os.listdir(os.environ["XDG_RUNTIME_DIR"])), 1)
    fails_to_start("--foreground", "--page-size", "5000", store="x.bts", status=2, text="5000")
    fails_to_start("--bogus", store="x.bts", status=2, text="--bogus")


@test
def a_clean_stop_leaves_one_file(c):
    folder = os.path.join(SCRATCH, "stop")
    os.mkdir(folder)
    daemon = Daemon("stop", store=os.path.join(folder, "one.bts"))
    peer = Client(daemon.socket)
    for i in range(50):
        peer("SET", f"k{i}", i)
    run = os.path.dirname(os.path.realpath(daemon.socket))
    assert sorted(os.listdir(run)) == ["beacon", "lock", "slots", "socket"], os.listdir(run)
    equal(os.stat(run).st_mode & 0o777, 0o700)
    equal(os.stat(os.path.join(run, "socket")).st_mode & 0o777, 0o600)
    daemon.stop()
    equal(sorted(os.listdir(folder)), ["one.bts", "one.bts.log"])
    assert not os.path.exists(run)
    daemon.start()
    peer = Client(daemon.socket)
    equal(peer("DBSIZE"), 50)
    daemon.stop()


@test
def a_killed_daemon_is_replaced(c):
    daemon = Daemon("killed")
    peer = Client(daemon.socket)
    peer("SET", "k", "v")
    pairs, fds = attach(peer)
    beacon_inode = os.fstat(fds[1]).st_ino
    daemon.kill()
    assert os.path.islink(daemon.socket)
    daemon.start()
    peer = Client(daemon.socket)
    equal(peer("GET", "k"), b"v")
    readers = peer("BTS.READERS")
    equal((len(readers), readers[0][0]), (1, os.getpid()))
    again, more = attach(peer)
    equal(again[b"generation"], pairs[b"generation"])
    equal(os.fstat(more[1]).st_ino, beacon_inode)
    run = os.path.dirname(os.path.realpath(daemon.socket))
    daemon.stop()
    equal(sorted(os.listdir(run)), ["beacon", "lock", "slots"])
    equal(len(os.listdir(os.path.join(run, "slots"))), 2)
    for fd in fds + more:
        os.close(fd)
    daemon.start()
    equal(Client(daemon.socket)("BTS.READERS"), [])
    daemon.stop()
    assert not os.path.exists(run)


@test
def readers_whose_run_directory_was_lost_are_still_known(c):
    daemon = Daemon("lost")
    peer = Client(daemon.socket)
    peer("SET", "k", "v")
    pairs, fds = attach(peer)
    run = os.path.dirname(os.path.realpath(daemon.socket))
    daemon.kill()
    subprocess.run(["rm", "-rf", run], check=True)
    daemon.start()
    peer = Client(daemon.socket)
    again, more = attach(peer)
    assert again[b"generation"] > pairs[b"generation"]
    assert "readers_of_other_daemons:1" in peer("INFO", "clients").decode()
    for fd in fds:
        os.close(fd)
    end = time.monotonic() + 120  # 1.4 GiB are made first
    while "readers_of_other_daemons:1" in peer("INFO", "clients").decode():
        assert time.monotonic() < end, "strangers are never forgotten"
        time.sleep(0.05)
    for fd in more:
        os.close(fd)
    daemon.stop()


@test
def another_file_in_its_place_gets_another_beacon(c):
    daemon = Daemon("first", "--socket", os.path.join(SCRATCH, "renamed.sock"))
    peer = Client(daemon.socket)
    peer("SET", "k", "old")
    run = os.path.join(SCRATCH, "given")
    daemon.stop()
    os.mkdir(run, 0o700)
    os.environ["RUNTIME_DIRECTORY"] = run
    try:
        daemon.start()
        peer = Client(daemon.socket)
        pairs, fds = attach(peer)
        peer("SET", "k", "new")
        daemon.stop()
        equal(sorted(os.listdir(run)), ["beacon", "lock", "slots"])
        state = struct.unpack("<I", os.pread(fds[1], 4, 12))[0]
        equal(state, 3)
        copy = daemon.store + ".copy"
        subprocess.run(["cp", daemon.store, copy], check=True)
        os.rename(copy, daemon.store)
        daemon.start()
        peer = Client(daemon.socket)
        equal(peer("GET", "k"), b"new")
        state = struct.unpack("<I", os.pread(fds[1], 4, 12))[0]
        equal(state, 4)
        again, more = attach(peer)
        assert again[b"generation"] > pairs[b"generation"]
        equal(len(peer("BTS.READERS")), 1)
        for fd in fds + more:
            os.close(fd)
        daemon.stop()
        equal(os.listdir(run), [])
    finally:
        del os.environ["RUNTIME_DIRECTORY"]


@test
def long_paths_work(c):
    folder = os.path.join(SCRATCH, "d" * 100, "e" * 100)
    os.makedirs(folder)
    daemon = Daemon("long", "--socket", os.path.join(folder, "sock"),
                    store=os.path.join(folder, "long.bts"))
    where = os.open(folder, os.O_PATH)
    peer = Client(f"/proc/self/fd/{where}/sock")
    equal(peer("PING"), "PONG")
    os.close(where)
    daemon.stop()
    equal(sorted(os.listdir(folder)), ["long.bts", "long.bts.log"])
    refused = os.path.join(SCRATCH, "s" * 100)
    fails_to_start("--foreground", "--socket", refused, store=os.path.join(SCRATCH, "l.bts"),
                   text="80 bytes")


@test
def a_private_daemon_ends_by_itself(c):
    store = os.path.join(SCRATCH, "private.bts")
    daemon = Daemon("private", "--private", "--idle-exit", "1")
    peer = Client(daemon.socket)
    _, fds = attach(peer)
    peer.close()
    time.sleep(1.6)
    assert daemon.alive(), "it ended although a reader is attached"
    for fd in fds:
        os.close(fd)
    equal(daemon.process.wait(TIMEOUT_S), 0)
    assert not os.path.exists(store + ".socket")
    assert not os.path.exists(store + ".pending")


@test
def without_foreground_the_command_returns_once_it_serves(c):
    store = os.path.join(SCRATCH, "detached.bts")
    done = subprocess.run([BTSTORED, store], capture_output=True, text=True, timeout=60)
    equal((done.returncode, done.stdout), (0, ""))
    peer = Client(store + ".socket")
    equal(peer("SET", "k", "v"), "OK")
    peer.send(encode("SHUTDOWN"))
    assert peer.gone()
    end = time.monotonic() + 20
    while os.path.exists(store + ".pending") or os.path.exists(store + ".socket"):
        assert time.monotonic() < end, "it does not stop"
        time.sleep(0.05)


@test
def a_stop_answers_what_it_took(c):
    daemon = Daemon("busy")
    peers = [Client(daemon.socket) for _ in range(8)]
    for peer in peers:
        peer.send(encode("INCR", "n") * 200)
    time.sleep(0.05)
    daemon.stop()
    acknowledged = 0
    for peer in peers:
        try:
            while True:
                acknowledged = max(acknowledged, peer.read())
        except (EOFError, ConnectionResetError):
            pass
    daemon.start()
    count = int(Client(daemon.socket)("GET", "n") or 0)
    assert count >= acknowledged, f"{acknowledged} acknowledged, {count} there"
    daemon.stop()


@test
def strangers_are_refused_by_name(c):
    if os.getuid() != 0:
        print("SKIP strangers_are_refused_by_name: needs root to become another user")
        return
    shared = tempfile.mkdtemp(dir="/dev/shm")
    os.chmod(shared, 0o755)
    path = os.path.join(shared, "sock")
    daemon = Daemon("strangers", "--socket", path)
    os.chmod(path, 0o666)
    script = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
              "s.sendall(b'PING\\r\\n'); print(s.recv(4096).decode(), end='')")

    def as_user(uid, *groups):
        wanted = ["--groups", ",".join(groups)] if groups else ["--clear-groups"]
        return subprocess.run(["setpriv", "--reuid", str(uid), "--regid", "65534", *wanted,
                               "/usr/bin/python3", "-c", script, path],
                              capture_output=True, text=True, timeout=60).stdout

    said = as_user(4711)
    assert said.startswith("-NOPERM ") and "4711" in said and "root" in said, said
    daemon.stop()
    group = subprocess.run(["getent", "group", "users"], capture_output=True, text=True).stdout
    if group:
        number = group.split(":")[2]
        daemon.options = ("--socket", path, "--group", "users")
        daemon.start()
        equal(os.stat(path).st_mode & 0o777, 0o660)
        equal(os.stat(path).st_gid, int(number))
        equal(as_user(4711, number).strip(), "+PONG")
        os.chmod(path, 0o666)
        said = as_user(4711)
        assert said.startswith("-NOPERM ") and f"group {number}" in said, said
        daemon.stop()
    os.rmdir(shared)


@test
def many_clients_come_and_go(c):
    peers = [Client(c.daemon.socket) for _ in range(500)]
    for number, peer in enumerate(peers):
        peer.send(encode("SET", f"client{number}", number) + encode("GET", f"client{number}"))
    for number, peer in enumerate(peers):
        equal([peer.read(), peer.read()], ["OK", b"%d" % number])
        peer.close()
    end = time.monotonic() + 120  # 1.4 GiB are made first
    while "connected_clients:1\r" not in c("INFO", "clients").decode():
        assert time.monotonic() < end, "clients that left are still counted"
        time.sleep(0.05)


def run(function, daemon):
    client = Client(daemon.socket)
    client.daemon = daemon
    client("SELECT", "0")
    client("FLUSHDB")
    try:
        function(client)
        assert daemon.alive(), "the daemon died"
        return True
    except Exception:
        print(f"FAILED {function.__name__}")
        traceback.print_exc(file=sys.stdout)
        return False
    finally:
        client.close()


def main():
    os.environ.pop("RUNTIME_DIRECTORY", None)
    os.environ["XDG_RUNTIME_DIR"] = os.path.join(SCRATCH, "run")
    os.mkdir(os.environ["XDG_RUNTIME_DIR"], 0o700)
    chosen = [function for function in TESTS
              if len(sys.argv) == 1 or function.__name__ in sys.argv[1:]]
    daemon = Daemon("main")
    failed = 0
    for function in chosen:
        if not run(function, daemon):
            failed += 1
            if not daemon.alive():
                print(open(daemon.store + ".log").read())
                daemon.log.close()
                daemon.start()
    daemon.stop()
    print(f"{100 * (len(chosen) - failed) // len(chosen)}%: Checks: {len(chosen)}, "
          f"Failures: {failed}, Errors: 0")
    return 1 if failed else 0


try:
    sys.exit(main())
finally:
    for left in Daemon.running:
        left.process.kill()
