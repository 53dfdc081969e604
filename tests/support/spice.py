"""Just enough of SPICE's link stage to knock at a display with a password, as a viewer does."""

import socket
import ssl
import struct
from contextlib import ExitStack

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAIN_CHANNEL = 1
SPICE_AUTHENTICATION = 1


def let_in(host: str, port: int, password: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether the display lets a viewer in with that password; over TLS where a context is given."""
    with ExitStack() as opened:
        plug = opened.enter_context(socket.create_connection((host, port), timeout=5))
        if context:
            plug = opened.enter_context(context.wrap_socket(plug, server_hostname=host))
        message = struct.pack("<IBBIII", 0, MAIN_CHANNEL, 0, 1, 0, 18) + struct.pack("<I", 1 << 0 | 1 << 1)
        plug.sendall(b"REDQ" + struct.pack("<III", 2, 2, len(message)) + message)
        header = _read(plug, 16)
        reply = _read(plug, struct.unpack_from("<I", header, 12)[0])
        key = load_der_public_key(reply[4:166])
        assert isinstance(key, rsa.RSAPublicKey)
        how = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)  # noqa: S303  what SPICE asks for
        plug.sendall(struct.pack("<I", SPICE_AUTHENTICATION) + key.encrypt(password.encode() + b"\0", how))
        try:
            return _read(plug, 4) == bytes(4)
        except ConnectionError:
            return False


def _read(plug: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = plug.recv(count - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data
