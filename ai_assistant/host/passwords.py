"""Hashes of passwords and of random secrets.

Passwords are short and guessable: scrypt (RFC 7914) with N=2**14, r=8, p=1, the parameters that its authors give for
interactive logins: 16 MiB and some 50 ms each. Random secrets of 128 bits and more need no slow hash: SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from ai_assistant.core.errors import ValidationError

MIN_LENGTH = 8
#: Frappe's limit, in characters.
MAX_LENGTH = 512
_N, _R, _P = 2**14, 8, 1


def hash_password(password: str) -> str:
    """`scrypt$N$r$p$salt$hash`. Raises ValidationError for a password that is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValidationError(f"A password needs {MIN_LENGTH} to {MAX_LENGTH} characters.")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(digest)}"


def verify_password(password: str, stored: str | None) -> bool:
    """Whether `password` is the one that was hashed. Takes as long for a missing hash as for a wrong password."""
    _, n, r, p, salt, digest = (stored or _DUMMY).split("$")
    if len(password) > MAX_LENGTH:
        return False
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(digest)) and stored is not None


def hash_secret(secret: str) -> str:
    """SHA-256 of a random secret, as hex."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def same_hash(left: str, right: str) -> bool:
    """Compares two hashes in constant time."""
    return hmac.compare_digest(left, right)


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=64 * 1024 * 1024, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_DUMMY = f"scrypt${_N}${_R}${_P}${_text(b'no such user....')}${_text(bytes(32))}"
