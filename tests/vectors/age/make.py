#!/usr/bin/env python3
"""Makes the test vectors in this directory.

An age implementation of its own, from the specification and with nothing but
the standard library, so that a misunderstanding in the program is not
repeated here.  Everything is derived from fixed seeds: running it again gives
the same files.  (stock-passphrase is not from here: "age -p" made it.)

Each file has lines "key: value", an empty line, and the bytes of an age file:

  expect      success, header failure, HMAC failure, payload failure, no match
  payload     SHA-256 of the plaintext, if success
  identity    a secret key to try; may be repeated
  passphrase  the passphrase to try
  comment     what the case is about
  stricter    yes, if this program refuses what others may let pass
"""

import base64
import hashlib
import hmac
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- primitives ----

def seeded(label, length):
    return hashlib.shake_128(("pgdr " + label).encode()).digest(length)


def x25519(scalar, point):
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & (1 << 255) - 1 | 1 << 254
    u = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swapped != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b = x2 + z2, x2 - z2
        aa, bb = a * a % p, b * b % p
        e = aa - bb
        da, cb = (x3 - z3) * a % p, (x3 + z3) * b % p
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def public_key(secret):
    return x25519(secret, bytes([9]) + bytes(31))


def chacha20_block(key, counter, nonce):
    state = list(struct.unpack("<4I", b"expand 32-byte k"))
    state += struct.unpack("<8I", key)
    state += [counter] + list(struct.unpack("<3I", nonce))
    x = state[:]

    def quarter(a, b, c, d):
        for left, add, mix, turn in ((a, b, d, 16), (c, d, b, 12),
                                     (a, b, d, 8), (c, d, b, 7)):
            x[left] = x[left] + x[add] & 0xffffffff
            v = x[mix] ^ x[left]
            x[mix] = (v << turn | v >> 32 - turn) & 0xffffffff

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return struct.pack("<16I", *(a + b & 0xffffffff
                                 for a, b in zip(x, state)))


def seal(key, nonce, plain):
    """ChaCha20-Poly1305 of RFC 8439 without associated data."""
    stream = b"".join(chacha20_block(key, 1 + i, nonce)
                      for i in range((len(plain) + 63) // 64))
    out = bytes(a ^ b for a, b in zip(plain, stream))
    one_time = chacha20_block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little")
    r &= 0x0ffffffc0ffffffc0ffffffc0fffffff
    s = int.from_bytes(one_time[16:32], "little")
    text = out + bytes(-len(out) % 16) + struct.pack("<QQ", 0, len(out))
    acc = 0
    for i in range(0, len(text), 16):
        acc += int.from_bytes(text[i:i + 16] + b"\x01", "little")
        acc = acc * r % (2**130 - 5)
    return out + (acc + s & 2**128 - 1).to_bytes(16, "little")


def hkdf(ikm, salt, info):
    prk = hmac.new(salt or bytes(32), ikm, "sha256").digest()
    return hmac.new(prk, info + b"\x01", "sha256").digest()


def b64(data):
    return base64.b64encode(data).rstrip(b"=")


def bech32(hrp, data):
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

    def polymod(values):
        c = 1
        for v in values:
            top, c = c >> 25, (c & 0x1ffffff) << 5 ^ v
            for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
                                   0x3d4233dd, 0x2a1462b3)):
                c ^= g if top >> i & 1 else 0
        return c

    bits = int.from_bytes(data, "big") << 4
    groups = [bits >> 5 * (51 - i) & 31 for i in range(52)]
    prefix = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    check = polymod(prefix + groups + [0] * 6) ^ 1
    groups += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return hrp + "1" + "".join(letters[g] for g in groups)


# ---- age ----

FILE_KEY = seeded("file key", 16)
NONCE = seeded("nonce", 16)
ALICE = seeded("alice", 32)
BOB = seeded("bob", 32)
VERSION = b"age-encryption.org/v1\n"


def identity(secret):
    return bech32("age-secret-key-", secret).upper()


def body_lines(data):
    text = b64(data)
    return b"".join(text[i:i + 64] + b"\n"
                    for i in range(0, len(text) + 1, 64))


def stanza(args, body):
    return b"-> " + args + b"\n" + body_lines(body)


def wrap_x25519(secret, file_key=FILE_KEY, share=None):
    ephemeral = seeded("ephemeral " + secret.hex(), 32)
    to = public_key(secret)
    if share is None:
        share = public_key(ephemeral)
        shared = x25519(ephemeral, to)
    else:
        shared = bytes(32)
    key = hkdf(shared, share + to, b"age-encryption.org/v1/X25519")
    return share, seal(key, bytes(12), file_key)


def x25519_stanza(secret, file_key=FILE_KEY):
    share, body = wrap_x25519(secret, file_key)
    return stanza(b"X25519 " + b64(share), body)


SALT = seeded("salt", 16)


def wrap_scrypt(passphrase, log_n, salt=SALT, file_key=FILE_KEY):
    key = hashlib.scrypt(passphrase, salt=b"age-encryption.org/v1/scrypt" +
                         salt, n=1 << log_n, r=8, p=1, dklen=32,
                         maxmem=1 << 30)
    return seal(key, bytes(12), file_key)


def scrypt_stanza(passphrase=b"password", log_n=10, factor=None, salt=SALT):
    body = wrap_scrypt(passphrase, log_n, salt)
    return stanza(b"scrypt " + b64(salt) + b" " +
                  (factor or str(log_n).encode()), body)


def close_header(start, mac_key=None, space=b" ", end=b"\n"):
    start += b"---"
    key = hkdf(mac_key or FILE_KEY, b"", b"header")
    return start + space + b64(hmac.new(key, start, "sha256").digest()) + end


def header(*stanzas):
    return close_header(VERSION + b"".join(stanzas))


def chunk(number, plain, last):
    nonce = number.to_bytes(11, "big") + bytes([last])
    return seal(hkdf(FILE_KEY, NONCE, b"payload"), nonce, plain)


def payload(plain):
    parts = [plain[i:i + 65536]
             for i in range(0, len(plain), 65536)] or [b""]
    return NONCE + b"".join(chunk(i, part, i == len(parts) - 1)
                            for i, part in enumerate(parts))


# ---- vectors ----

TEXT = b"twenty bytes of text"
SUCCESS = "success"
HEADER = "header failure"
HMAC = "HMAC failure"
PAYLOAD = "payload failure"
NO_MATCH = "no match"


def write(name, expect, data, comment="", plain=TEXT, ids=(ALICE,),
          passphrase=None, stricter=False):
    lines = ["expect: " + expect]
    if expect == SUCCESS:
        lines.append("payload: " + hashlib.sha256(plain).hexdigest())
    if passphrase is None:
        lines += ["identity: " + identity(i) for i in ids]
    else:
        lines.append("passphrase: " + passphrase)
    if comment:
        lines.append("comment: " + comment)
    if stricter:
        lines.append("stricter: yes")
    with open(os.path.join(HERE, name), "wb") as f:
        f.write("\n".join(lines).encode() + b"\n\n" + data)


def x25519_vectors():
    good = x25519_stanza(ALICE)
    share, body = wrap_x25519(ALICE)
    end = payload(TEXT)

    def case(name, expect, *stanzas, **more):
        write("x25519-" + name, expect, header(*stanzas) + end, **more)

    case("one", SUCCESS, good)
    case("two-recipients", SUCCESS, x25519_stanza(BOB), good)
    case("two-identities", SUCCESS, good, ids=(BOB, ALICE))
    case("same-twice", SUCCESS, good, good)
    case("no-match", NO_MATCH, x25519_stanza(BOB))
    case("lower-case-type", NO_MATCH, good.replace(b"X25519", b"x25519", 1),
         comment="the type of a stanza is case-sensitive")
    case("grease", SUCCESS, stanza(b"grease a b", b"x" * 10), good,
         stanza(b"other", b""), comment="unknown stanzas are skipped")
    case("extra-argument", HEADER,
         stanza(b"X25519 " + b64(share) + b" x", body))
    case("no-argument", HEADER, stanza(b"X25519", body))
    case("short-share", HEADER, stanza(b"X25519 " + b64(share[:31]), body))
    case("long-share", HEADER, stanza(b"X25519 " + b64(share + b"x"), body))
    case("padded-share", HEADER,
         stanza(b"X25519 " + b64(share) + b"=", body))
    case("share-not-canonical", HEADER,
         stanza(b"X25519 " + bump_last(b64(share)), body),
         comment="the two spare bits of the last letter are not zero")
    case("long-file-key", HEADER,
         x25519_stanza(ALICE, FILE_KEY + b"x"))
    case("short-file-key", HEADER, x25519_stanza(ALICE, FILE_KEY[:15]))
    case("bad-tag", NO_MATCH, stanza(b"X25519 " + b64(share),
                                     body[:-1] + bytes([body[-1] ^ 1])))
    case("malformed-beside-good", HEADER, good,
         stanza(b"X25519 " + b64(share[:31]), body),
         comment="a malformed stanza is refused also if another opens",
         stricter=True)
    for label, low in (("zero", bytes(32)), ("one", b"\x01" + bytes(31))):
        share, body = wrap_x25519(ALICE, share=low)
        case("low-order-" + label, HEADER,
             stanza(b"X25519 " + b64(share), body),
             comment="the shared secret would be zero")


def bump_last(text):
    """The same bytes, but spare bits set in the last letter."""
    letters = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
               b"abcdefghijklmnopqrstuvwxyz0123456789+/")
    return text[:-1] + bytes([letters[letters.index(text[-1]) + 1]])


def scrypt_vectors():
    end = payload(TEXT)
    body = wrap_scrypt(b"password", 10)
    salt = b64(SALT)

    def case(name, expect, *stanzas, **more):
        more.setdefault("passphrase", "password")
        write("scrypt-" + name, expect, header(*stanzas) + end, **more)

    case("one", SUCCESS, scrypt_stanza())
    case("factor-1", SUCCESS, scrypt_stanza(log_n=1))
    case("no-match", NO_MATCH, scrypt_stanza(b"other"))
    case("two", HEADER, scrypt_stanza(), scrypt_stanza())
    case("with-x25519", HEADER, scrypt_stanza(), x25519_stanza(ALICE))
    case("after-grease", HEADER, stanza(b"grease", b""), scrypt_stanza())
    write("scrypt-with-x25519-identity", HEADER,
          header(x25519_stanza(ALICE), scrypt_stanza()) + end,
          comment="refused also by somebody with a key", stricter=True)
    write("scrypt-identity", NO_MATCH, header(scrypt_stanza()) + end)
    case("x25519-only", NO_MATCH, x25519_stanza(ALICE))
    case("upper-case-type", NO_MATCH,
         scrypt_stanza().replace(b"scrypt", b"Scrypt", 1))
    case("wrong-factor", NO_MATCH, scrypt_stanza(factor=b"9"))
    for label, factor in (("zero", b"0"), ("23", b"23"), ("64", b"64"),
                          ("negative", b"-10"), ("plus", b"+10"),
                          ("leading-zero", b"010"), ("hex", b"0xa"),
                          ("letter-after", b"10x"), ("letter-before", b"x10"),
                          ("overflow", b"18446744073709551626"),
                          ("2-32", b"4294967306")):
        case("factor-" + label, HEADER, scrypt_stanza(factor=factor))
    case("factor-missing", HEADER, stanza(b"scrypt " + salt, body))
    case("extra-argument", HEADER,
         stanza(b"scrypt " + salt + b" 10 10", body))
    case("short-salt", HEADER, scrypt_stanza(salt=SALT[:15]))
    case("long-salt", HEADER, scrypt_stanza(salt=SALT + b"x"))
    case("salt-not-canonical", HEADER,
         stanza(b"scrypt " + bump_last(salt) + b" 10", body))
    case("long-file-key", HEADER, stanza(
        b"scrypt " + salt + b" 10",
        wrap_scrypt(b"password", 10, file_key=FILE_KEY + b"x")))


def header_vectors():
    good = x25519_stanza(ALICE)
    end = payload(TEXT)
    whole = header(good)
    share, body = wrap_x25519(ALICE)
    extra = seeded("extra", 48)

    def case(name, expect, start, **more):
        write("header-" + name, expect, start + end, **more)

    def with_stanza(name, expect, text, **more):
        case(name, expect, header(text, good), **more)

    case("version-2", HEADER,
         close_header(VERSION.replace(b"v1", b"v2") + good))
    case("version-space", HEADER, close_header(VERSION[:-1] + b" \n" + good))
    case("crlf", HEADER, whole.replace(b"\n", b"\r\n"))
    case("empty-line", HEADER, close_header(VERSION + b"\n" + good))
    case("no-stanza", HEADER, close_header(VERSION))
    case("starts-with-space", HEADER, b" " + whole)
    case("armor", HEADER, b"-----BEGIN AGE ENCRYPTED FILE-----\n" + whole)
    write("header-only-version", HEADER, VERSION)
    write("header-empty-file", HEADER, b"")

    bad_mac = bytearray(whole)
    bad_mac[-5] = ord("B") if bad_mac[-5] == ord("A") else ord("A")
    case("mac-wrong", HMAC, bytes(bad_mac))
    case("mac-other-key", HMAC,
         close_header(VERSION + good, mac_key=bytes(16)))
    case("stanza-added", HMAC,
         whole.replace(b"---", stanza(b"added", b"x") + b"---"),
         comment="what was added later is not under the MAC")
    case("mac-not-canonical", HEADER,
         whole[:-2] + bump_last(whole[-2:-1]) + b"\n")
    case("mac-short", HEADER, whole[:-2] + b"\n")
    case("mac-padded", HEADER, whole[:-1] + b"=\n")
    case("mac-missing", HEADER, whole[:-45] + b"\n")
    case("mac-extra-space", HEADER, close_header(VERSION + good,
                                                 space=b"  "))
    case("mac-no-space", HEADER, close_header(VERSION + good, space=b""))
    case("mac-space-after", HEADER, close_header(VERSION + good,
                                                 end=b" \n"))
    case("mac-cr", HEADER, close_header(VERSION + good, end=b"\r\n"))

    n = 0
    while b"/" not in header(good, stanza(b"%d" % n, b""))[-44:]:
        n += 1
    slash = header(good, stanza(b"%d" % n, b""))
    case("mac-with-slash", SUCCESS, slash)
    case("mac-high-bit", HEADER,
         slash[:-44] + slash[-44:].replace(b"/", b"\xaf", 1))

    with_stanza("argument-empty", HEADER, stanza(b"a  b", b""))
    with_stanza("argument-empty-last", HEADER, stanza(b"a ", b""))
    with_stanza("argument-none", HEADER, b"-> \n\n")
    with_stanza("argument-none-2", HEADER, b"->\n\n")
    with_stanza("argument-tab", HEADER, stanza(b"a\tb", b""))
    with_stanza("argument-nul", HEADER, stanza(b"a\x00b", b""))
    with_stanza("argument-del", HEADER, stanza(b"a\x7fb", b""))
    with_stanza("argument-utf8", HEADER, stanza(b"caf\xc3\xa9", b""))
    with_stanza("argument-all-characters", SUCCESS,
                stanza(bytes(range(33, 127)), b""))
    with_stanza("arrow-wrong", HEADER, b"=> a\n\n")
    with_stanza("arrow-two-spaces", HEADER, b"->  a\n\n")

    with_stanza("body-none", HEADER, b"-> a\n",
                comment="the short last line of the body is missing")
    with_stanza("body-empty", SUCCESS, b"-> a\n\n")
    with_stanza("body-one-full-line", SUCCESS, stanza(b"a", extra),
                comment="a full line, then an empty one")
    with_stanza("body-no-last-line", HEADER,
                b"-> a\n" + b64(extra) + b"\n")
    with_stanza("body-two-short-lines", HEADER, b"-> a\nAAAA\nAAAA\n")
    with_stanza("body-short-then-empty", HEADER, b"-> a\nAAAA\n\n")
    with_stanza("body-long-line", HEADER,
                b"-> a\n" + b64(extra + b"xyz") + b"\n\n")
    with_stanza("body-padded", HEADER, b"-> a\nAA==\n")
    with_stanza("body-one-letter", HEADER, b"-> a\nA\n")
    with_stanza("body-five-letters", HEADER, b"-> a\nAAAAA\n")
    with_stanza("body-not-canonical", HEADER, b"-> a\nAB\n")
    with_stanza("body-url-letters", HEADER, b"-> a\n-_-_\n")
    with_stanza("body-space", HEADER, b"-> a\nAAAA AAAA\n")
    with_stanza("body-high-bit", HEADER, b"-> a\n" + b"\xaf" * 4 + b"\n",
                comment="some decoders take these bytes for slashes")
    with_stanza("body-cr", HEADER, b"-> a\nAAAA\r\n")
    with_stanza("body-many-lines", SUCCESS,
                stanza(b"pgdr-object", b'{"name":"x"}' + b" " * 500))


def payload_vectors():
    start = header(x25519_stanza(ALICE))
    full = bytes(65536)

    def case(name, expect, data, **more):
        write("payload-" + name, expect, start + data, **more)

    case("empty", SUCCESS, payload(b""), plain=b"")
    case("one-byte", SUCCESS, payload(b"x"), plain=b"x")
    case("full-chunk", SUCCESS, payload(full), plain=full)
    case("two-chunks", SUCCESS, payload(full + b"x"), plain=full + b"x")
    case("missing", PAYLOAD, b"")
    case("short-nonce", PAYLOAD, NONCE[:15])
    case("only-nonce", PAYLOAD, NONCE)
    case("short-tag", PAYLOAD, NONCE + chunk(0, b"", 1)[:15])
    case("bad-tag", PAYLOAD, NONCE + chunk(0, TEXT, 1)[:-1] + b"\x00")
    case("other-nonce", PAYLOAD, seeded("other", 16) + payload(TEXT)[16:])
    case("not-last", PAYLOAD, NONCE + chunk(0, TEXT, 0),
         comment="the only chunk is not marked as the last")
    case("empty-not-last", PAYLOAD, NONCE + chunk(0, b"", 0))
    case("starts-at-1", PAYLOAD, NONCE + chunk(1, TEXT, 1))
    case("byte-after", PAYLOAD, payload(TEXT) + b"x")
    case("chunk-after", PAYLOAD, payload(TEXT) + chunk(1, TEXT, 1))
    case("short-chunk-first", PAYLOAD,
         NONCE + chunk(0, TEXT, 0) + chunk(1, TEXT, 1),
         comment="only the last chunk may be short")
    case("empty-last", PAYLOAD, NONCE + chunk(0, full, 0) + chunk(1, b"", 1),
         comment="an empty last chunk is for an empty file only")
    case("full-not-last", PAYLOAD, NONCE + chunk(0, full, 0))
    case("two-last", PAYLOAD, NONCE + chunk(0, full, 1) + chunk(1, b"x", 1))


x25519_vectors()
scrypt_vectors()
header_vectors()
payload_vectors()
