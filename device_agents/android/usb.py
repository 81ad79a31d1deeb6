"""Phones on this machine's USB, by adb-shell and libusb, where no adb server holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DIRECTION_IN = 0x80  # in an endpoint's address


@dataclass(frozen=True)
class UsbPhone:
    """A phone on this machine's USB.

    serial: "" where this user may not open the device.
    path: bus and ports, such as 1-4.2; two phones may share a serial, and never a path.
    """

    serial: str
    path: str


def usb_phones() -> list[UsbPhone]:
    """The phones with adb that hang at this machine; none where libusb is missing."""
    try:
        from adb_shell.transport.usb_transport import UsbTransport
    except OSError:  # the Python part is there, the system's libusb is not
        return []
    import usb1

    try:
        found = [UsbPhone(_serial(transport), usb_path(transport)) for transport in UsbTransport.find_all_adb_devices()]
    except usb1.USBError:
        return []
    return sorted(found, key=lambda phone: (phone.serial, phone.path))


def usb_path(transport: Any) -> str:
    """The place where an adb-shell USB transport is plugged in, as the kernel names it in /sys/bus/usb/devices."""
    bus, *ports = transport.port_path
    return f"{bus}-{'.'.join(map(str, ports))}"


def usb_transport(serial: str, path: str = "") -> Any:
    """adb-shell's USB transport to the phone of this serial, at this path where one is given."""
    from adb_shell.exceptions import UsbDeviceNotFoundError

    for transport in whole_usb_transport().find_all_adb_devices():
        if usb_path(transport) == path if path else _serial(transport) == serial:
            return transport
    raise UsbDeviceNotFoundError(f"no phone {f'at USB {path}' if path else f'of serial {serial}'}")


def whole_usb_transport() -> Any:
    """adb-shell's USB transport, mended where it does not say that a transfer has ended.

    A transfer ends with a packet that is not full. Where data fill their last packet, an empty one has to follow:
    without it, recent phones wait for more, and the connection stands still.
    """
    from adb_shell.exceptions import UsbWriteFailedError
    from adb_shell.transport.usb_transport import UsbTransport

    class WholeUsbTransport(UsbTransport):  # type: ignore[misc]
        def bulk_write(self, data: bytes, transport_timeout_s: float | None = None) -> int:
            written: int = super().bulk_write(data, transport_timeout_s)
            if written != len(data):
                raise UsbWriteFailedError(f"only {written} of {len(data)} bytes could be sent", None)
            if data and not len(data) % self._packet_bytes:
                super().bulk_write(b"", transport_timeout_s)
            return written

        @property
        def _packet_bytes(self) -> int:
            """64, 512 or 1024, by the speed at which the phone is attached."""
            return next(size for address, size in _endpoints(self._setting) if not address & _DIRECTION_IN)

    return WholeUsbTransport


def usb_errors() -> tuple[type[Exception], ...]:
    """What libusb raises; nothing where it is missing."""
    try:
        import usb1
    except OSError:
        return ()
    return (usb1.USBError,)


def _endpoints(setting: Any) -> Iterator[tuple[int, int]]:
    """(address, packet size) of each."""
    for endpoint in setting.iterEndpoints():
        yield endpoint.getAddress(), endpoint.getMaxPacketSize()


def _serial(transport: Any) -> str:
    try:
        return str(transport.serial_number)
    except usb_errors():
        return ""
