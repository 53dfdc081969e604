"""The browser's side of RFB (RFC 6143) for onlookers: what would touch the guest is dropped.

Until the session begins all bytes pass; then each message is read by its length, and those that type, point, paste
or change the guest's power or screen are dropped. What is not known ends the console: guessing could let keys through.
"""

import struct

# The one version spoken: in an older one the greeting has another length, and a key could pass for a part of it.
VERSION = b"RFB 003.008\n"
NO_SECURITY, SHARED = b"\x01", b"\x01"
# Message type: its whole length in bytes, of those that have one and may pass.
PASS = {0: 20, 3: 10, 150: 10}
DROP = {4: 8, 5: 6, 250: 4}
SET_ENCODINGS, CUT_TEXT, FENCE, DESKTOP_SIZE, QEMU = 2, 6, 248, 251, 255
LONGEST_TEXT = 1 << 20
# QEMU's own messages by submessage: extended keys are dropped, sound is let through (it is only listened to).
QEMU_KEY, QEMU_AUDIO = 0, 1


class NotRfb(Exception):
    """What the browser sent is no RFB that is known here."""


class ViewOnly:
    """Filters what a browser sends to a display, chunk by chunk."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        # Always shared: an exclusive onlooker would shut the user out.
        self._greeting = [VERSION, NO_SECURITY, SHARED]

    def filter(self, data: bytes) -> bytes:
        """What may go on to the display of these bytes and those kept from before. Raises NotRfb."""
        self._buffer += data
        passed = bytearray()
        while self._greeting and len(self._buffer) >= len(self._greeting[0]):
            expected = self._greeting.pop(0)
            if self._take(len(expected)) != expected and self._greeting:
                raise NotRfb("another greeting than the one we speak")
            passed += expected
        while not self._greeting and (framed := self._message()):
            length, may_pass = framed
            if len(self._buffer) < length:
                break
            message = self._take(length)
            if may_pass:
                passed += message
        return bytes(passed)

    def _take(self, length: int) -> bytes:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data

    def _message(self) -> tuple[int, bool] | None:
        """The length of the next message and whether it may pass; None until enough of it is there to say."""
        if not self._buffer:
            return None
        kind = self._buffer[0]
        if kind in PASS:
            return PASS[kind], True
        if kind in DROP:
            return DROP[kind], False
        return self._counted(kind)

    def _counted(self, kind: int) -> tuple[int, bool] | None:
        if kind == SET_ENCODINGS:
            return self._with_count(4, "!xxH", 4, True)
        if kind == CUT_TEXT:
            return self._cut_text()
        if kind == FENCE:
            return self._with_count(9, "!8xB", 1, True)
        if kind == DESKTOP_SIZE:
            return self._with_count(8, "!6xBx", 16, False)
        if kind == QEMU:
            return self._qemu()
        raise NotRfb(f"message {kind}")

    def _with_count(self, head: int, layout: str, each: int, may_pass: bool) -> tuple[int, bool] | None:
        if len(self._buffer) < head:
            return None
        (count,) = struct.unpack_from(layout, self._buffer)
        return head + count * each, may_pass

    def _cut_text(self) -> tuple[int, bool] | None:
        if len(self._buffer) < 8:
            return None
        (length,) = struct.unpack_from("!4xi", self._buffer)
        if abs(length) > LONGEST_TEXT:  # negative: the extended clipboard's
            raise NotRfb("a text too long")
        return 8 + abs(length), False

    def _qemu(self) -> tuple[int, bool] | None:
        if len(self._buffer) < 4:
            return None
        if self._buffer[1] == QEMU_KEY:
            return 12, False
        if self._buffer[1] == QEMU_AUDIO:
            (operation,) = struct.unpack_from("!2xH", self._buffer)
            return (10 if operation == 2 else 4), True
        raise NotRfb(f"QEMU message {self._buffer[1]}")
