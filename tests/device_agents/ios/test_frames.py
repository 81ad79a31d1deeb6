"""Frames and the greeting, of whatever bytes: a value, or an error that says so."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.device_agents.ios.frames import CHUNK_BYTES, GREETING_BYTES, FrameError, Frames
from lutbench.device_agents.ios.link import AppLink, RefusedByAppError, hex_of, whole_of
from lutbench.device_agents.ios.pairing import HostKeys, Pairing, checked_code, new_keys
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError, UsageError


def frame(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">cI", kind, len(data)) + data


def fed(data: bytes) -> Frames:
    """Frames over a connection on which these bytes come, and then its end."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=lambda: (theirs.sendall(data), theirs.close()), daemon=True).start()
    return Frames(ours)


def test_no_frame_waits_for_the_one_before() -> None:
    """Asked of the socket: how long a frame takes is the machine's."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        assert not ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        Frames(ours)
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_json_and_bytes_arrive_as_they_were_sent() -> None:
    ours, theirs = socket.socketpair()
    sender, receiver = Frames(ours), Frames(theirs)
    receiver.greeted()
    data = bytes(range(256)) * (CHUNK_BYTES // 256) + b"rest"

    def send() -> None:
        sender.send_json({"a": [1, "x"]}, 5.0)
        sender.send_bytes(data, 5.0)

    thread = threading.Thread(target=send)
    thread.start()
    assert receiver.receive_json(5.0) == {"a": [1, "x"]}
    assert b"".join(receiver.receive_bytes(len(data), 5.0)) == data
    thread.join()
    sender.close()
    receiver.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (frame(b"B", b"{}"), "kind"),
        (frame(b"E", b"{}"), "kind"),
        (frame(b"J", b"[]"), "no JSON object"),
        (frame(b"J", b"{"), "no JSON"),
        (frame(b"J", b"[" * 4000), "no JSON"),
        (struct.pack(">cI", b"J", GREETING_BYTES + 1), "4096 are the most"),
        (struct.pack(">cI", b"J", 0xFFFFFFFF), "are the most"),
        (frame(b"J", b"{}")[:-1], "closed"),
        (b"", "closed"),
    ],
)
def test_what_is_no_frame_says_so(data: bytes, said: str) -> None:
    with pytest.raises(LinkLostError, match=said):
        fed(data).receive_json(5.0)


@pytest.mark.parametrize("chunk", [b"", b"123456"])
def test_a_chunk_is_neither_empty_nor_longer_than_what_is_left(chunk: bytes) -> None:
    with pytest.raises(FrameError, match="chunk"):
        list(fed(frame(b"B", chunk)).receive_bytes(5, 5.0))


def test_an_app_that_says_nothing_is_lost() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(LinkLostError, match=r"in time|timed out"):
        Frames(ours).receive_json(0.05)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("01ax", max_size=4) | st.just("00" * 32),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["lutbench", "app", "key", "salt", "proof", "header", "error", "message", "device", "state", "runtimes"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.one_of(st.binary(max_size=30), JSON.map(lambda v: frame(b"J", json.dumps(v).encode()))), max_size=4))
@settings(max_examples=150, deadline=None)
def test_whatever_answers_is_an_app_or_an_error(answers: list[bytes]) -> None:
    """Without a code and with one."""
    for code in (None, "0" * 12) if len(answers) < 2 else (None,):
        ours, theirs = socket.socketpair()
        hello = frame(b"J", b'{"lutbench":1,"app":"x"}') if answers else b""
        theirs.sendall(hello + b"".join(answers))
        theirs.shutdown(socket.SHUT_WR)
        link = AppLink(lambda ours=ours: ours, "phone", "0" * 32, code)  # type: ignore[misc]
        try:
            link.connect()
            assert link.opened is not None
        except (DeviceError, LinkLostError):
            assert link.opened is None
        finally:
            link.close()
            theirs.close()


def test_answers_hold_what_they_should() -> None:
    assert whole_of({"n": 3}, "n") == 3 and hex_of({"h": "00ff"}, "h") == b"\0\xff"
    for wrong in ({}, {"n": True}, {"n": -1}, {"n": "3"}, {"n": 1.5}):
        with pytest.raises(FrameError):
            whole_of(wrong, "n")
    for wrong in ({}, {"h": "0"}, {"h": 5}, {"h": "xy"}):
        with pytest.raises(FrameError):
            hex_of(wrong, "h")


def test_codes_are_read_as_people_type_them() -> None:
    assert checked_code("7k2m-q4xd-9rtp") == checked_code("7K2M Q4XD 9RTP") == "7K2MQ4XD9RTP"
    assert checked_code("oil0-0000-0000") == "011000000000"
    for wrong in ("", "7K2M", "7K2MQ4XD9RTPX", "7K2M-Q4XD-9RT!", "7K2M-Q4XD-9RTU"):
        with pytest.raises(UsageError, match="no pairing code"):
            checked_code(wrong)


def refused(make: Callable[[], object]) -> None:
    with pytest.raises(FrameError):
        make()


def test_keys_and_headers_of_another_size_are_refused() -> None:
    keys = new_keys()
    refused(lambda: Pairing("0" * 12, b"short", keys, keys.public))
    refused(lambda: Pairing("0" * 12, b"0" * 16, keys, b"short"))
    refused(lambda: Pairing("0" * 12, b"0" * 16, keys, b"\0" * 32))
    pairing = Pairing("0" * 12, b"0" * 16, keys, new_keys().public)
    cipher = pairing.cipher()
    refused(lambda: cipher.begin(b"short"))
    cipher.begin(b"0" * 24)
    refused(lambda: cipher.unseal(b"short"))
    refused(lambda: cipher.unseal(b"0" * 40))
    assert not pairing.proves(b"") and not pairing.proves(pairing.proof)  # its own, sent back


def test_a_code_that_is_another_makes_another_proof() -> None:
    keys, theirs = new_keys(), new_keys()
    same = HostKeys(keys.public, keys.secret)
    one, other = (Pairing(code, b"0" * 16, same, theirs.public) for code in ("0" * 12, "0" * 11 + "1"))
    assert one.proof != other.proof and one.proof == Pairing("0" * 12, b"0" * 16, keys, theirs.public).proof


def test_a_refusal_has_its_code() -> None:
    error = RefusedByAppError("busy", "it is another's", {"error": "busy"})
    assert (error.code, str(error)) == ("busy", "it is another's")
