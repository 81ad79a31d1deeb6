"""A pairing code and what is made of it: the proof that both sides know it, and the keys that seal a Wi-Fi connection.

All of it is libsodium's (PyNaCl here, the app the library itself): an X25519 key exchange for each connection, Argon2id
over the code, BLAKE2b to tie the two together, and its secret stream (XChaCha20-Poly1305) for the frames. The code has
60 bits, so who records a connection or answers in the app's place cannot try all codes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lutbench.device_agents.ios.frames import FrameError
from lutbench.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: none that looks like another
_LOOK_ALIKES = str.maketrans("OIL", "011")
_LENGTH = 12
SALT_BYTES = 16
_KEY_BYTES = 32


def checked_code(text: str) -> str:
    """The code as the app shows it, without hyphens; UsageError where it cannot be one."""
    code = re.sub(r"[\s-]", "", text).upper().translate(_LOOK_ALIKES)
    if len(code) != _LENGTH or set(code) - set(_LETTERS):
        raise UsageError(
            f"{text!r} is no pairing code", remedy="the app shows one, such as 7K2M-Q4XD-9RTP, while its Wi-Fi is on"
        )
    return code


@dataclass(frozen=True)
class HostKeys:
    """This side's keys of one connection."""

    public: bytes
    secret: bytes


def new_keys() -> HostKeys:
    """Keys for one connection; DeviceError where PyNaCl is not installed."""
    public, secret = _sodium().crypto_kx_keypair()
    return HostKeys(public, secret)


class Pairing:
    """One connection's secrets, of both sides' keys and of the code."""

    def __init__(self, code: str, salt: bytes, mine: HostKeys, theirs: bytes) -> None:
        self._sodium = _sodium()
        from nacl.exceptions import CryptoError

        if len(salt) != SALT_BYTES or len(theirs) != self._sodium.crypto_kx_PUBLIC_KEY_BYTES:
            raise FrameError("the app's key or salt is not of the size that they have")
        self._code_key = self._sodium.crypto_pwhash_alg(
            _KEY_BYTES, code.encode(), salt,
            self._sodium.crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
            self._sodium.crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE,
            self._sodium.crypto_pwhash_ALG_ARGON2ID13,
        )  # fmt: skip
        try:
            received, sent = self._sodium.crypto_kx_client_session_keys(mine.public, mine.secret, theirs)
        except CryptoError as error:  # a key that no honest side has
            raise FrameError(f"the app's key is none: {error}") from error
        keys = mine.public + theirs
        self._received, self._sent = self._keyed(received), self._keyed(sent)
        self.proof = self._keyed(b"host" + keys + sent + received)
        self._expected = self._keyed(b"app" + keys + sent + received)

    def proves(self, proof: bytes) -> bool:
        """Whether the app's proof shows that it knows the code, in a time that does not tell where it differs."""
        return hmac.compare_digest(proof, self._expected)

    def cipher(self) -> SecretStream:
        """Both directions; their header has to be given before the first frame is opened."""
        return SecretStream(self._sodium, self._sent, self._received)

    def _keyed(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, digest_size=_KEY_BYTES, key=self._code_key).digest()


class SecretStream:
    """libsodium's secret stream in both directions: a frame that is changed, repeated or left out does not open."""

    def __init__(self, sodium: Any, sent: bytes, received: bytes) -> None:
        self._sodium = sodium
        self.overhead: int = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
        self._received = received
        self._push = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._pull = sodium.crypto_secretstream_xchacha20poly1305_state()
        self.header: bytes = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._push, sent)

    def begin(self, header: bytes) -> None:
        """Takes the other side's header."""
        if len(header) != self._sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES:
            raise FrameError("the app's stream begins with a header of another size")
        self._sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._pull, header, self._received)

    def seal(self, data: bytes) -> bytes:
        return bytes(self._sodium.crypto_secretstream_xchacha20poly1305_push(self._push, data))

    def unseal(self, data: bytes) -> bytes:
        if len(data) < self.overhead:
            raise FrameError("a sealed frame is too short")
        from nacl.exceptions import CryptoError

        try:
            plain, _tag = self._sodium.crypto_secretstream_xchacha20poly1305_pull(self._pull, data)
        except CryptoError as error:
            raise FrameError("a sealed frame was changed on its way, or is not the next one") from error
        return bytes(plain)


def _sodium() -> ModuleType:
    try:
        import nacl.bindings
    except ImportError as error:
        raise DeviceError(
            "an iPhone on Wi-Fi needs PyNaCl, which seals the connection",
            remedy="pip install 'lutbench[wifi]', or plug the iPhone in",
        ) from error
    return nacl.bindings
