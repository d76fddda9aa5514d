"""Debian's Chromium, driven from disk: what the tests of the page look through."""

import shutil
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Reader:
    """A browser with a few words for what a reader does."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=DRIVER)
        self.driver = webdriver.Chrome(options=options, service=service)

    def tell(self, command: str, **values) -> None:
        self.driver.execute_cdp_cmd(f"Emulation.{command}", values)

    def open(self, path: Path, width: int = 1280, dark: bool = False, script: bool = True) -> None:
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("setEmulatedMedia", features=[theme])
        self.tell("setScriptExecutionDisabled", value=not script)
        self.tell(
            "setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        for name in ("browser", "performance"):
            self.driver.get_log(name)
        self.driver.get(path.as_uri())
        if script:
            self.wait("'ready' in document.documentElement.dataset")

    def ask(self, script: str, *values):
        return self.driver.execute_script(f"return {script}", *values)

    def wait(self, condition: str) -> None:
        end = time.monotonic() + 20
        while not self.ask(condition):
            assert time.monotonic() < end, f"not within 20 s: {condition}"
            time.sleep(0.05)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.ask("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def choose(self, selector: str, value: str) -> None:
        self.ask("arguments[0].value = arguments[1]", self.find(selector), value)
        for event in ("input", "change"):
            script = f"arguments[0].dispatchEvent(new Event('{event}', {{ bubbles: true }}))"
            self.ask(script, self.find(selector))

    def column(self, name: str, table: str = "board") -> list[str]:
        """The texts of a column that is shown, by its key."""
        heads = f"[...document.querySelectorAll('#{table} thead th')]"
        place = self.ask(f"{heads}.findIndex(head => head.dataset.key === '{name}')")
        rows = f"[...document.querySelectorAll('#{table} tbody tr')]"
        return self.ask(f"{rows}.map(row => row.cells[{place}]?.textContent ?? '')")

    def wait_for_sort(self, name: str, direction: str) -> None:
        head = f"document.querySelector('#board th[data-key={name}]')"
        self.wait(f"{head}.getAttribute('aria-sort') === '{direction}'")

    def heads(self) -> list[str]:
        script = "[...document.querySelectorAll('#board thead th')].map(head => head.dataset.key)"
        return self.ask(script)
