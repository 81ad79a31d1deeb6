"""iPhones: found and reached through usbmux or over Wi-Fi, measured by the app that runs there."""
