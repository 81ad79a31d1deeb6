"""Draws docs/pictures/report.png: the top of the page that `lutbench demo` makes, in a headless Chromium.

    python docs/make_report_picture.py [DEMO]

DEMO: the folder of a demo that has run already; without it one runs first, some two minutes.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from lutbench.cli.demo import PAGE

WIDTH, HEIGHT = 1240, 2035
SCALE = 0.75


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(sys.argv[1] if len(sys.argv) > 1 else folder).resolve()
        subprocess.run([sys.executable, "-m", "lutbench", "demo", "--no-open", "-o", str(demo)], check=True)
        page = demo / PAGE
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        with Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(page.as_uri())
            data = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    (Path(__file__).parent / "pictures" / "report.png").write_bytes(base64.b64decode(data))


if __name__ == "__main__":
    main()
