"""adb over USB: when a transfer has ended, and which phone is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lutbench.device_agents.android import usb
from lutbench.device_agents.android.usb import UsbPhone, usb_path, usb_phones, usb_transport, whole_usb_transport

transports = pytest.importorskip("adb_shell.transport.usb_transport", exc_type=OSError)


@dataclass
class RecentPhone:
    """The bulk endpoints of a phone whose adbd reads transfers, each until a packet that is not full."""

    packet_bytes: int
    packets: list[bytes] = field(default_factory=list)

    @property
    def transfers(self) -> list[bytes]:
        found, open_ = [], b""
        for packet in self.packets:
            open_ += packet
            if len(packet) < self.packet_bytes:
                found.append(open_)
                open_ = b""
        return found

    def bulkWrite(self, endpoint: int, data: bytes, timeout: int) -> int:  # noqa: N802
        assert endpoint == 0x02 and timeout > 0
        size = self.packet_bytes
        self.packets += [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        return len(data)

    def kernelDriverActive(self, _number: int) -> bool:  # noqa: N802
        return False

    def claimInterface(self, number: int) -> None:  # noqa: N802
        assert number == 3

    def open(self) -> RecentPhone:
        return self


@dataclass
class Endpoint:
    address: int
    size: int

    def getAddress(self) -> int:  # noqa: N802
        return self.address

    def getMaxPacketSize(self) -> int:  # noqa: N802
        return self.size


def setting(packet_bytes: int) -> Any:
    """The interface that adb uses: an endpoint to read from, whose packets say nothing, and one to write to."""
    ends = [Endpoint(0x81, 31), Endpoint(0x02, packet_bytes)]
    return SimpleNamespace(iterEndpoints=lambda: iter(ends), getNumber=lambda: 3)


@pytest.mark.parametrize("packet_bytes", [64, 512, 1024])
def test_a_transfer_that_fills_its_last_packet_is_ended_by_an_empty_one(packet_bytes: int) -> None:
    phone = RecentPhone(packet_bytes)
    transport = whole_usb_transport()(phone, setting(packet_bytes))
    transport.connect(1.0)
    sent = [bytes([size % 251]) * size for size in (24, 11_264, 1, 512, 1023, 1024, 24, 65_536)]
    for data in sent:
        assert transport.bulk_write(data, 1.0) == len(data)
        assert phone.transfers[-1] == data  # the phone has it, and waits for no more
    assert phone.transfers == sent


def test_a_transfer_that_was_sent_in_part_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from adb_shell.exceptions import UsbWriteFailedError

    phone = RecentPhone(512)
    transport = whole_usb_transport()(phone, setting(512))
    transport.connect(1.0)
    monkeypatch.setattr(phone, "bulkWrite", lambda *_words, **_more: 7)
    with pytest.raises(UsbWriteFailedError, match="only 7 of 100 bytes"):
        transport.bulk_write(b"x" * 100, 1.0)


class Plugged:
    """A phone on the bus, as adb-shell finds it."""

    def __init__(self, serial: str | None, *port_path: int) -> None:
        self._serial = serial
        self.port_path = list(port_path)

    @property
    def serial_number(self) -> str:
        if self._serial is None:
            import usb1

            raise usb1.USBErrorAccess
        return self._serial


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> list[Plugged]:
    plugged = [Plugged("0123456789ABCDEF", 1, 4, 2), Plugged("0123456789ABCDEF", 1, 3), Plugged("B", 2, 1)]

    def found(*_words: object) -> Iterator[Plugged]:
        yield from plugged

    monkeypatch.setattr(transports.UsbTransport, "find_all_adb_devices", found)
    return plugged


def test_phones_of_one_serial_are_told_apart_by_where_they_are_plugged_in(bus: list[Plugged]) -> None:
    twins = [UsbPhone("0123456789ABCDEF", "1-3"), UsbPhone("0123456789ABCDEF", "1-4.2")]
    assert usb_phones() == [*twins, UsbPhone("B", "2-1")]
    assert usb_transport("0123456789ABCDEF", "1-4.2") is bus[0]
    assert usb_transport("0123456789ABCDEF", "1-3") is bus[1]
    assert usb_path(usb_transport("B")) == "2-1"
    with pytest.raises(usb_missing(), match="no phone at USB 9-9"):
        usb_transport("B", "9-9")
    with pytest.raises(usb_missing(), match="no phone of serial C"):
        usb_transport("C")


def test_a_phone_that_may_not_be_opened_hides_no_other(bus: list[Plugged]) -> None:
    bus.append(Plugged(None, 3, 1))
    assert UsbPhone("", "3-1") in usb_phones() and UsbPhone("B", "2-1") in usb_phones()
    assert usb_transport("B") is bus[2]


def usb_missing() -> type[Exception]:
    from adb_shell.exceptions import UsbDeviceNotFoundError

    assert usb.usb_errors()
    return UsbDeviceNotFoundError  # type: ignore[no-any-return]
