#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A reader of store files, written from doc/FORMAT.md alone.

    format_reader.py STORE              dump the state of the newest checkpoint
    format_reader.py --replay STORE     ... and what the pending log adds to it
    format_reader.py --quiet STORE      check only

Prints every entry as a line of bucket, key and value, separated by tabs, key
and value in hexadecimal, buckets and keys in the order of their trees.  In a
bucket's name all but printable ASCII, and the backslash, is written \\xNN.

Checks all that the format promises of the pages it visits, and then the space
map against them.  Exit status: 0; 1 when something is damaged, after a line
on standard error that names page and reason; 2 when the file cannot be read,
is of another version, or is served by a daemon.

It shares no code with the store, so that what both say of a file is said
twice.  It is no faster than it needs to be.
"""

import argparse
import fcntl
import os
import struct
import sys

U16 = struct.Struct("<H")
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
HEADER = struct.Struct("<IBBHIIQHHHH")
META = struct.Struct("<8sII16sQIIQIIQQIIQ")
RECORD = struct.Struct("<IIIIQQQQQQ")
SEGMENT = struct.Struct("<8sII16sQQQI")
FRAME = struct.Struct("<IIQQQII")
BATCH = struct.Struct("<4sIQII")
OPERATION = struct.Struct("<BBHI")

PAGE_META, PAGE_MAP, PAGE_INNER, PAGE_LEAF, PAGE_RUN = 1, 2, 3, 4, 5
OWNER_DIRECTORY, OWNER_NONE = 0xFFFFFFFF, 0xFFFFFFFE
DEPTH_MAX = 24
VALUE_MAX = 64 << 20
NAME_MAX = 255
BLOCK = 4096
BATCH_MAX = 256 << 20
SEGMENT_MIN, SEGMENT_MAX = 64 << 10, 256 << 20
PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
LOCK_READER = 1 << 62
LOCK_DAEMON = (1 << 62) - 1


class Damage(Exception):
    """The file is not as the format says."""


class Refused(Exception):
    """The file may be whole, but this program does not read it."""


# ---- section 2: checksums ----------------------------------------------------------


def crc_tables():
    """What one byte, and what two bytes, do to the register."""
    one = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        one.append(crc)
    two = [one[(one[pair & 255] ^ (pair >> 8)) & 255] ^ (one[pair & 255] >> 8)
           for pair in range(65536)]
    return one, two


CRC_ONE, CRC_TWO = crc_tables()


def crc32c(data):
    crc = 0xFFFFFFFF
    two = CRC_TWO
    even = len(data) & ~1
    for (pair,) in U16.iter_unpack(data[:even]):
        crc = (crc >> 16) ^ two[(crc ^ pair) & 0xFFFF]
    for byte in data[even:]:
        crc = (crc >> 8) ^ CRC_ONE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def check_crc():
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


# ---- section 7: fingerprints -------------------------------------------------------

MASK = (1 << 64) - 1


def fingerprint(key):
    h = len(key)
    for at in range(0, len(key), 8):
        word = int.from_bytes(key[at:at + 8], "little")
        h = (h + word) * 0x9E3779B97F4A7C15 & MASK
    h ^= h >> 32
    h = h * 0xD6E8FEB86659FD93 & MASK
    return h >> 56


def check_fingerprint():
    assert fingerprint(b"a") == 0xC3
    assert fingerprint(b"user:00001234") == 0x94
    assert fingerprint(b"https://example.com/") == 0xA6


# ---- sections 3 to 6: file, metas, maps --------------------------------------------


class Header:
    def __init__(self, page):
        (self.crc, self.type, self.level, self.flags, self.number, self.owner, self.txnid,
         self.n, self.prefix, self.upper, self.dead) = HEADER.unpack_from(page)
        self.run_length = U64.unpack_from(page, 24)[0]


class Meta:
    def __init__(self, page):
        (self.magic, self.version, self.page_size, self.uuid, self.txnid, self.root, self.depth,
         self.bucket_count, self.page_count, self.flags, self.log_epoch, self.log_position,
         self.next_bucket_id, self.reserved, self.created) = META.unpack_from(page, 32)
        self.clean = self.flags & 1 == 1


def need(condition, text, *values):
    if not condition:
        raise Damage(text % values if values else text)


def group_pages(page_size):
    return (page_size - 32) * 8


def is_fixed(number, page_size):
    return number < 4 or (number >= group_pages(page_size) and
                          number % group_pages(page_size) < 2)


class Bounds:
    """The limits that follow from a page size."""

    def __init__(self, page_size):
        self.page_size = page_size
        self.cell_max = (page_size - 32) // 4 - 4
        self.key_max = self.cell_max - 16


def read_meta(file, offset, number):
    """The meta at this place, or the Damage or Refused that it is."""
    start = file.read_at(offset, 128)
    need(len(start) == 128, "the file ends before it")
    meta = Meta(start)
    need(meta.magic == b"btstore\n", "no magic of a store")
    need(meta.page_size in PAGE_SIZES, "impossible page size %d", meta.page_size)
    page = file.read_at(offset, meta.page_size)
    need(len(page) == meta.page_size, "the file ends inside it")
    header = Header(page)
    need(header.crc == crc32c(page[4:]), "checksum %08x, expected %08x", header.crc,
         crc32c(page[4:]))
    need(header.number == number, "carries the number of page %d", header.number)
    if meta.version != 1:
        raise Refused("format version %d, this program knows 1" % meta.version)
    need(header.type == PAGE_META and header.level == 0 and header.owner == OWNER_NONE,
         "no meta page")
    need(meta.txnid != 0 and meta.txnid == header.txnid, "txnids %d and %d", meta.txnid,
         header.txnid)
    need(header.flags == 0 and header.n == 0 and header.prefix == 0 and header.dead == 0 and
         header.upper == meta.page_size & 0xFFFF and meta.flags <= 1 and meta.reserved == 0 and
         not any(page[128:]), "reserved bits are set")
    need(meta.page_count >= 4, "page count %d", meta.page_count)
    if meta.root == 0:
        need(meta.depth == 0 and meta.bucket_count == 0, "no root, but depth or buckets")
    else:
        need(meta.depth > 0 and meta.bucket_count > 0, "a root without depth or buckets")
        need(meta.root < meta.page_count and not is_fixed(meta.root, meta.page_size),
             "root %d cannot be", meta.root)
    return meta


def try_meta(file, offset, number):
    try:
        return read_meta(file, offset, number), None
    except Damage as damage:
        return None, damage


def find_meta_one(file, zero):
    if zero is not None:
        return try_meta(file, zero.page_size, 1)
    first_why = None
    for offset in PAGE_SIZES:
        meta, why = try_meta(file, offset, 1)
        if meta is not None and meta.page_size != offset:
            meta, why = None, Damage("page size %d at offset %d" % (meta.page_size, offset))
        if meta is not None:
            return meta, None
        first_why = first_why or why
    return None, first_why


def choose_meta(file):
    zero, why_zero = try_meta(file, 0, 0)
    one, why_one = find_meta_one(file, zero)
    if zero is None and one is None:
        raise Damage("no valid meta: page 0: %s; page 1: %s" % (why_zero, why_one))
    if zero is not None and one is not None:
        need(zero.uuid == one.uuid and zero.page_size == one.page_size,
             "page 1: the two metas are of different stores")
        return one if (one.txnid, one.clean) > (zero.txnid, zero.clean) else zero
    return zero or one


class File:
    """Bytes at places of a file, and the locks of who reads without a daemon."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read_at(self, offset, size):
        pieces = []
        while size > 0:
            piece = os.pread(self.descriptor, size, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def size(self):
        return os.fstat(self.descriptor).st_size

    def lock(self):
        def flock(kind, start):
            return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0)

        fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, flock(fcntl.F_RDLCK, LOCK_READER))
        found = fcntl.fcntl(self.descriptor, fcntl.F_OFD_GETLK,
                            flock(fcntl.F_WRLCK, LOCK_DAEMON))
        if struct.unpack("hhqqi4x", found)[0] == fcntl.F_WRLCK:
            raise Refused("a daemon serves this file; stop it, or read a copy")


# ---- sections 4, 7 to 11: trees ----------------------------------------------------


class Counts:
    def __init__(self):
        self.entries = self.leaves = self.inners = self.run_pages = 0


class Store:
    def __init__(self, file, meta):
        self.file = file
        self.meta = meta
        self.bounds = Bounds(meta.page_size)
        self.reached = bytearray(meta.page_count)
        for start in range(0, meta.page_count, group_pages(meta.page_size)):
            fixed = min(4 if start == 0 else 2, meta.page_count - start)
            self.reached[start:start + fixed] = b"\1" * fixed

    def claim(self, number, pages):
        """Every page is reached once, lies below the high-water mark and is not fixed."""
        for page in range(number, number + pages):
            need(4 <= page < self.meta.page_count and not is_fixed(page, self.meta.page_size),
                 "page %d: cannot belong to a tree", page)
            need(not self.reached[page], "page %d: reached twice", page)
            self.reached[page] = 1

    def load(self, number, pages, owner, txnid):
        """Bytes of a page or a run whose checksum, number, owner and age are right."""
        size = pages * self.meta.page_size
        self.claim(number, pages)
        page = self.file.read_at(number * self.meta.page_size, size)
        need(len(page) == size, "page %d: the file ends inside it", number)
        header = Header(page)
        crc = crc32c(page[4:])
        need(header.crc == crc, "page %d: checksum %08x, expected %08x", number, header.crc, crc)
        need(header.number == number, "page %d: carries the number of page %d", number,
             header.number)
        need(header.flags == 0, "page %d: unknown flags %04x", number, header.flags)
        need(header.owner == owner, "page %d: belongs to bucket %d instead of %d", number,
             header.owner, owner)
        need(0 < header.txnid <= txnid, "page %d: of transaction %d, reached from one of %d",
             number, header.txnid, txnid)
        return header, page

    def walk(self, root, depth, owner, txnid, counts):
        """Entries of a tree in order: (key, value, txnid of the leaf)."""
        if root != 0:
            need(depth <= DEPTH_MAX, "page %d: tree of depth %d", root, depth)
            yield from self.walk_page(root, depth - 1, owner, txnid, (None, None), counts)

    def walk_page(self, number, level, owner, txnid, keys, counts):
        header, page = self.load(number, 1, owner, txnid)
        need(header.type == (PAGE_INNER if level > 0 else PAGE_LEAF) and header.level == level,
             "page %d: type %d and level %d where level %d should be", number, header.type,
             header.level, level)
        try:
            if level == 0:
                entries = list(self.leaf_entries(header, page, keys))
            else:
                children = self.inner_children(header, page, keys)
        except Damage as damage:
            raise Damage("page %d: %s" % (number, damage)) from None
        if level == 0:
            counts.leaves += 1
            for key, value in entries:
                counts.entries += 1
                if isinstance(value, tuple):
                    value = self.run_value(value, owner, header.txnid, counts)
                yield key, value, header.txnid
            return
        counts.inners += 1
        for child, child_keys in children:
            yield from self.walk_page(child, level - 1, owner, header.txnid, child_keys, counts)

    def cells(self, header, page, arrays_end, spans):
        """No two cells overlap, dead bytes are counted, what nobody uses is zero."""
        upper = header.upper or 65536
        end = upper
        dead = 0
        for start, size in sorted(spans):
            need(start >= end, "cells overlap at %d", start)
            need(not any(page[end:start]), "unused bytes at %d are not zero", end)
            dead += start - end
            end = start + size
        need(end <= len(page), "a cell leaves the page")
        need(not any(page[end:]), "unused bytes at %d are not zero", end)
        dead += len(page) - end
        need(dead == header.dead, "%d dead bytes, but %d are counted", dead, header.dead)
        need(not any(page[arrays_end:upper]), "the gap is not zero")

    def leaf_entries(self, header, page, keys):
        n = header.n
        upper = header.upper or 65536
        offsets_at = 32 + n + n % 2
        arrays_end = offsets_at + 2 * n
        need(n > 0, "a leaf without entries")
        need(header.prefix == 0, "a leaf with a prefix")
        need(arrays_end <= upper <= len(page), "cells begin at %d", upper)
        need(n % 2 == 0 or page[32 + n] == 0, "padding is not zero")
        spans = []
        last = None
        for index in range(n):
            offset = U16.unpack_from(page, offsets_at + 2 * index)[0]
            key, value, size = self.leaf_cell(page, upper, offset)
            spans.append((offset, size))
            need(page[32 + index] == fingerprint(key), "entry %d: wrong fingerprint", index)
            need(last is None or last < key, "entry %d: out of order", index)
            need((keys[0] is None or keys[0] <= key) and (keys[1] is None or key < keys[1]),
                 "entry %d: key is outside the bounds of its page", index)
            last = key
            yield key, value
        self.cells(header, page, arrays_end, spans)

    def leaf_cell(self, page, upper, offset):
        """Key, value or (first page, length), and size of the cell."""
        need(upper <= offset <= len(page) - 4, "a cell at %d", offset)
        klen, vlen = struct.unpack_from("<HH", page, offset)
        need(klen >> 14 == 0, "unknown flags of a cell at %d", offset)
        need(1 <= klen <= self.bounds.key_max, "a key of %d bytes", klen)
        stored = 12 if vlen == 0xFFFF else vlen
        size = 4 + klen + stored
        need(size <= self.bounds.cell_max and offset + size <= len(page),
             "a cell of %d bytes at %d", size, offset)
        key = page[offset + 4:offset + 4 + klen]
        value = page[offset + 4 + klen:offset + size]
        if vlen == 0xFFFF:
            value = struct.unpack("<IQ", value)
            need(value[1] <= VALUE_MAX, "a value of %d bytes", value[1])
            need(4 + klen + value[1] > self.bounds.cell_max, "a run for a small value")
        return key, value, size

    def inner_children(self, header, page, keys):
        n = header.n
        upper = header.upper or 65536
        prefix_end = 32 + header.prefix
        heads_at = (prefix_end + 3) & ~3
        children_at = heads_at + 4 * n
        offsets_at = children_at + 4 * (n + 1)
        arrays_end = offsets_at + 2 * n
        need(n > 0, "an inner page without separators")
        need(header.prefix <= self.bounds.key_max, "a prefix of %d bytes", header.prefix)
        need(arrays_end <= upper <= len(page), "tails begin at %d", upper)
        need(not any(page[prefix_end:heads_at]), "padding is not zero")
        bounds = [keys[0]]
        spans = []
        for index in range(n):
            head = U32.unpack_from(page, heads_at + 4 * index)[0]
            offset = U16.unpack_from(page, offsets_at + 2 * index)[0]
            rest = self.inner_rest(page, upper, head, offset, spans)
            separator = page[32:prefix_end] + rest
            need(int.from_bytes((rest + bytes(4))[:4], "big") == head,
                 "separator %d: wrong head", index)
            need(1 <= len(separator) <= self.bounds.key_max, "separator %d: %d bytes", index,
                 len(separator))
            need(bounds[-1] is None or bounds[-1] < separator, "separator %d: out of order", index)
            bounds.append(separator)
        need(keys[1] is None or bounds[-1] < keys[1], "the last separator is out of bounds")
        bounds.append(keys[1])
        self.cells(header, page, arrays_end, spans)
        return [(U32.unpack_from(page, children_at + 4 * index)[0], (bounds[index],
                                                                     bounds[index + 1]))
                for index in range(n + 1)]

    def inner_rest(self, page, upper, head, offset, spans):
        """What follows the prefix in a separator."""
        if offset <= 4:
            return head.to_bytes(4, "big")[:offset]
        need(upper <= offset <= len(page) - 2, "a tail at %d", offset)
        size = U16.unpack_from(page, offset)[0]
        need(size > 4 and offset + 2 + size <= len(page), "a tail of %d bytes", size)
        spans.append((offset, 2 + size))
        return page[offset + 2:offset + 2 + size]

    def run_value(self, pointer, owner, txnid, counts):
        number, length = pointer
        pages = (32 + length + self.meta.page_size - 1) // self.meta.page_size
        header, run = self.load(number, pages, owner, txnid)
        need(header.type == PAGE_RUN and header.level == 0, "page %d: no run", number)
        need(header.run_length == length, "page %d: run of %d bytes, its pointer says %d", number,
             header.run_length, length)
        need(not any(run[32 + length:]), "page %d: the end of the run is not zero", number)
        counts.run_pages += pages
        return run[32:32 + length]

    # ---- section 10: buckets

    def buckets(self):
        """(name, record, txnid of the leaf that holds it) in the directory's order."""
        meta = self.meta
        counts = Counts()
        ids = set()
        for name, value, txnid in self.walk(meta.root, meta.depth, OWNER_DIRECTORY, meta.txnid,
                                            counts):
            where = "bucket %s" % printable(name)
            need(len(name) <= NAME_MAX, "%s: name of %d bytes", where, len(name))
            need(len(value) == 64, "%s: record of %d bytes", where, len(value))
            record = RECORD.unpack(value)
            need(record[0] < meta.next_bucket_id and record[0] not in ids,
                 "%s: number %d cannot be", where, record[0])
            need(record[3] == 0 and record[9] == 0, "%s: reserved bits are set", where)
            need(record[1] == record[2] == 0 and not any(record[4:8]) or
                 record[1] > 0 and record[2] > 0, "%s: root %d, depth %d", where, *record[1:3])
            ids.add(record[0])
            yield name, record, txnid
        need(counts.entries == meta.bucket_count, "%d buckets, but the meta says %d",
             counts.entries, meta.bucket_count)

    def bucket_entries(self, name, record, txnid):
        identity, root, depth = record[:3]
        counts = Counts()
        for key, value, _ in self.walk(root, depth, identity, txnid, counts):
            yield key, value
        found = (counts.entries, counts.leaves, counts.inners, counts.run_pages)
        need(found == record[4:8],
             "bucket %s: entries, leaf, inner and run pages are %s, its record says %s",
             printable(name), found, record[4:8])

    # ---- section 6: the space map

    def check_maps(self):
        size = self.meta.page_size
        per_group = group_pages(size)
        for group in range((self.meta.page_count + per_group - 1) // per_group):
            bits = self.newest_map(group)
            first = group * per_group
            for index in range(per_group):
                used = bits[index // 8] >> index % 8 & 1
                page = first + index
                reached = page < self.meta.page_count and self.reached[page]
                need(used == reached, "page %d: %s", page,
                     "in use by the space map, but not reached" if used else
                     "reached, but free by the space map")

    def newest_map(self, group):
        first = 2 if group == 0 else group * group_pages(self.meta.page_size)
        best = None
        for number in (first, first + 1):
            page = self.file.read_at(number * self.meta.page_size, self.meta.page_size)
            if len(page) < self.meta.page_size:
                continue
            header = Header(page)
            fixed = 0x0F if group == 0 else 0x03
            if (header.crc == crc32c(page[4:]) and header.number == number and
                    header.type == PAGE_MAP and header.level == 0 and header.flags == 0 and
                    header.owner == OWNER_NONE and page[32] & fixed == fixed and
                    header.txnid <= self.meta.txnid and
                    (best is None or header.txnid > best[0])):
                best = header.txnid, page[32:]
        need(best is not None, "page %d: no usable space map of group %d", first, group)
        return best[1]


# ---- section 13: batches -----------------------------------------------------------

(USE, USE_ID, PUT, DELETE, DELETE_RANGE, INCREMENT, GET, CREATE, DROP, RENAME, REQUIRE_ABSENT,
 REQUIRE_PRESENT, REQUIRE_EQUAL) = range(1, 14)
IF_ABSENT, IF_PRESENT, RETURN, OPEN_FROM, OPEN_TO = 1, 2, 4, 8, 16
# Of each type: flags allowed, what the two strings are.
RULES = {
    USE: (0, "name", "none"), USE_ID: (0, "none", "id"),
    PUT: (IF_ABSENT | IF_PRESENT | RETURN, "key", "value"), DELETE: (RETURN, "key", "none"),
    DELETE_RANGE: (OPEN_FROM | OPEN_TO, "from", "to"), INCREMENT: (RETURN, "key", "delta"),
    GET: (RETURN, "key", "none"), CREATE: (0, "name", "none"), DROP: (0, "name", "none"),
    RENAME: (0, "name", "name"), REQUIRE_ABSENT: (0, "key", "none"),
    REQUIRE_PRESENT: (0, "key", "none"), REQUIRE_EQUAL: (0, "key", "value"),
}


def sizes_of(field, flags, key_max):
    """Smallest and largest size of a field."""
    if field == "from" and flags & OPEN_FROM or field == "to" and flags & OPEN_TO:
        return 0, 0
    return {"none": (0, 0), "name": (1, NAME_MAX), "value": (0, VALUE_MAX), "id": (4, 4),
            "delta": (8, 8)}.get(field, (1, key_max))


def operations(batch, key_max):
    need(24 <= len(batch) <= BATCH_MAX, "a batch of %d bytes", len(batch))
    magic, flags, _, count, size = BATCH.unpack_from(batch)
    need(magic == b"btb1" and flags == 0 and size == len(batch), "no batch")
    at = 24
    while at < len(batch):
        need(len(batch) - at >= 8, "a batch ends inside an operation")
        kind, flags, size1, size2 = OPERATION.unpack_from(batch, at)
        need(kind in RULES, "operation of type %d", kind)
        allowed, field1, field2 = RULES[kind]
        need(flags & ~allowed == 0 and flags & 3 != 3, "flags %x of type %d", flags, kind)
        for field, field_size in ((field1, size1), (field2, size2)):
            low, high = sizes_of(field, flags, key_max)
            need(low <= field_size <= high, "%s of %d bytes", field, field_size)
        at += 8
        need(size1 + size2 <= len(batch) - at, "a batch ends inside an operation")
        yield kind, flags, batch[at:at + size1], batch[at + size1:at + size1 + size2]
        at += size1 + size2
        count -= 1
    need(count == 0, "a batch counts its operations wrong")


# ---- sections 12 and 14: the pending log and its replay ----------------------------


class Segment:
    def __init__(self, block, offset):
        (_, self.version, self.size, self.uuid, self.epoch, self.sequence, self.first_txnid,
         _) = SEGMENT.unpack_from(block)
        self.offset = offset


def read_segment(block, offset):
    """The header in this block; None if there is none."""
    if block[:8] != b"btspend\n" or U32.unpack_from(block, 56)[0] != crc32c(block[:56]):
        return None
    segment = Segment(block, offset)
    if segment.version != 1:
        raise Refused("pending log of version %d, this program knows 1" % segment.version)
    need(SEGMENT_MIN <= segment.size <= SEGMENT_MAX and segment.size % BLOCK == 0,
         "a segment of %d bytes", segment.size)
    return segment


class Log:
    def __init__(self, file, meta):
        self.file = file
        self.meta = meta
        self.segments = []
        first = file.read_at(0, BLOCK)
        if file.size() == 0 or first == bytes(BLOCK):
            self.size = 0
            return
        need(len(first) == BLOCK, "no pending log")
        header = read_segment(first, 0)
        need(header is not None, "no segment begins here")
        self.size = header.size
        for offset in range(0, file.size() // self.size * self.size, self.size):
            segment = read_segment(file.read_at(offset, BLOCK), offset)
            if segment is not None:
                need(segment.uuid == meta.uuid, "the pending log of another store")
                need(segment.size == self.size, "segments of different sizes")
                self.segments.append(segment)

    def frame(self, segment, offset, epoch):
        """(txnid, durable, batches, bytes it takes) at this place, or None."""
        left = self.size - offset
        if left < 40:
            return None
        place = segment.offset + offset
        header = self.file.read_at(place, 40)
        if len(header) < 40:
            return None
        length, crc, its_epoch, txnid, durable, batches, reserved = FRAME.unpack(header)
        if length == 0 or length > left - 40:
            return None
        frame = self.file.read_at(place, 40 + length)
        if crc != crc32c(frame[8:]) or reserved != 0 or its_epoch != epoch:
            return None
        taken = (40 + length + BLOCK - 1) // BLOCK * BLOCK
        return txnid, durable, self.batches(frame[40:], batches, txnid), taken

    @staticmethod
    def batches(body, count, txnid):
        found = []
        at = 0
        while at < len(body):
            need(len(body) - at >= 4, "frame of %d: ends inside a batch", txnid)
            size = U32.unpack_from(body, at)[0]
            need(size <= len(body) - at - 4, "frame of %d: ends inside a batch", txnid)
            found.append(body[at + 4:at + 4 + size])
            at += 4 + size
        need(len(found) == count, "frame of %d: %d batches, but %d are counted", txnid,
             len(found), count)
        return found

    def find(self, sequence):
        for segment in self.segments:
            if (segment.epoch, segment.sequence) == (self.meta.log_epoch, sequence):
                return segment
        return None

    def frames(self):
        """[(txnid, batches)] beyond the meta, once it is clear that the log fits it."""
        meta = self.meta
        first = (meta.log_position - 1) // self.size if self.size and meta.log_position else 0
        claimed = [segment for segment in self.segments
                   if not meta.clean and segment.epoch == meta.log_epoch and
                   segment.sequence >= first]
        for segment in self.segments:
            if segment not in claimed:
                self.check_unclaimed(segment)
        if meta.clean:
            return []
        need(self.find(first) is not None,
             "commits after %d are missing: segment %d of epoch %d is not here", meta.txnid,
             first, meta.log_epoch)
        taken = self.take(first)
        self.check_end(claimed, meta.txnid + len(taken) + 1)
        return taken

    def check_unclaimed(self, segment):
        offset = BLOCK
        frame = self.frame(segment, offset, segment.epoch)
        while frame is not None:
            need(frame[0] <= self.meta.txnid,
                 "holds commit %d, but the store beside it is an older copy", frame[0])
            offset += frame[3]
            frame = self.frame(segment, offset, segment.epoch)

    def take(self, sequence):
        taken = []
        segment = self.find(sequence)
        offset = self.meta.log_position - sequence * self.size
        expected = self.meta.txnid + 1
        while True:
            frame = self.frame(segment, offset, self.meta.log_epoch)
            if frame is None or frame[0] != expected:
                following = self.find(segment.sequence + 1)
                if following is None or following.first_txnid != expected:
                    return taken
                segment, offset = following, BLOCK
                frame = self.frame(segment, offset, self.meta.log_epoch)
                if frame is None or frame[0] != expected:
                    return taken
            taken.append((frame[0], frame[2]))
            offset += frame[3]
            expected += 1

    def check_end(self, claimed, missing):
        for segment in claimed:
            offset = BLOCK
            while offset < self.size:
                frame = self.frame(segment, offset, self.meta.log_epoch)
                need(frame is None or frame[0] <= missing or frame[1] < missing,
                     "the frame of commit %d is damaged or missing", missing)
                offset += BLOCK if frame is None else frame[3]


class Replay:
    """All buckets in memory: name to (id, {key: value})."""

    def __init__(self, store):
        self.buckets = {}
        self.next_id = store.meta.next_bucket_id
        self.key_max = store.bounds.key_max
        for name, record, txnid in list(store.buckets()):
            self.buckets[name] = record[0], dict(store.bucket_entries(name, record, txnid))

    def apply(self, batch):
        current = self.buckets.get(b"default")
        for kind, flags, first, second in operations(batch, self.key_max):
            if kind == USE:
                current = self.named(first)
            elif kind == USE_ID:
                identity = U32.unpack(second)[0]
                found = [bucket for bucket in self.buckets.values() if bucket[0] == identity]
                need(found, "a batch uses bucket %d, which is not there", identity)
                current = found[0]
            elif kind == CREATE:
                need(first not in self.buckets, "a batch creates a bucket that is there")
                self.buckets[first] = self.next_id, {}
                self.next_id += 1
            elif kind == DROP:
                self.named(first)
                del self.buckets[first]
            elif kind == RENAME:
                need(second not in self.buckets, "a batch renames to a bucket that is there")
                self.buckets[second] = self.named(first)
                del self.buckets[first]
            else:
                self.change(current[1], kind, flags, first, second)

    def named(self, name):
        need(name in self.buckets, "a batch uses bucket %s, which is not there", printable(name))
        return self.buckets[name]

    @staticmethod
    def change(entries, kind, flags, first, second):
        if kind == PUT:
            if not (flags & IF_ABSENT and first in entries or
                    flags & IF_PRESENT and first not in entries):
                entries[first] = second
        elif kind == DELETE:
            entries.pop(first, None)
        elif kind == DELETE_RANGE:
            for key in [key for key in entries if first <= key and
                        (flags & OPEN_TO or key < second)]:
                del entries[key]
        elif kind == INCREMENT:
            delta = int.from_bytes(second, "little", signed=True)
            entries[first] = b"%d" % (int(entries.get(first, b"0")) + delta)


# ---- the program -------------------------------------------------------------------


def printable(name):
    return "".join(chr(byte) if 0x20 < byte < 0x7F and byte != 0x5C else "\\x%02x" % byte
                   for byte in name)


def entries_of(store, replay):
    """Bucket name, key, value of all that is to be shown."""
    if replay is not None:
        for name in sorted(replay.buckets):
            entries = replay.buckets[name][1]
            for key in sorted(entries):
                yield name, key, entries[key]
        return
    for name, record, txnid in list(store.buckets()):
        for key, value in store.bucket_entries(name, record, txnid):
            yield name, key, value


def open_log(path, meta):
    """The frames of the pending log; None: there is none."""
    try:
        file = File(path)
    except FileNotFoundError:
        need(meta.clean, "is missing, and the store was not stopped cleanly: commits after %d "
             "may be in it", meta.txnid)
        return None
    return Log(file, meta).frames()


def dump(options, note):
    file = File(options.store)
    file.lock()
    meta = choose_meta(file)
    store = Store(file, meta)
    pending = options.store + ".pending"
    frames = None
    try:
        frames = open_log(pending, meta)
    except Damage as damage:
        if options.replay:
            raise Damage("%s: %s" % (pending, damage)) from None
        note("%s: %s" % (pending, damage))
    if frames is not None and not options.replay:
        note("%s lies beside: %d commits after %d are in it and not shown" %
             (pending, len(frames), meta.txnid))
    replay = None
    if options.replay:
        replay = Replay(store)
        for _, batches in frames or []:
            for batch in batches:
                replay.apply(batch)
    for name, key, value in entries_of(store, replay):
        if not options.quiet:
            print("%s\t%s\t%s" % (printable(name), key.hex(), value.hex()))
    store.check_maps()


def main():
    parser = argparse.ArgumentParser(description="Dump a store file, as doc/FORMAT.md says.")
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("--replay", action="store_true", help="add what the pending log holds")
    parser.add_argument("--quiet", action="store_true", help="check only, print no entries")
    options = parser.parse_args()

    def note(text):
        print("format_reader: %s" % text, file=sys.stderr)

    check_crc()
    check_fingerprint()
    try:
        dump(options, note)
    except Damage as damage:
        sys.stdout.flush()
        note("%s: %s" % (options.store, damage))
        return 1
    except (Refused, OSError) as why:
        note("%s: %s" % (options.store, why))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
