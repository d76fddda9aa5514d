"""What claims are judged on: the records of a results folder, by preset."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..campaign import Campaign, open_campaign
from ..store import Store


class Evidence:
    """A results folder, or none: claims in closed form need no records.

    The folder may hold the records of several presets, such as `small` and the sweeps beside it;
    the one with most records is the main one.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        plugins: Sequence[str] = (),
        opened: Campaign | None = None,
    ) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.plugins = tuple(plugins)
        self.opened = opened

    @classmethod
    def of(cls, campaign: Campaign) -> Evidence:
        """A campaign that is open, as the main one, with the other presets of its folder."""
        return cls(campaign.store.folder, opened=campaign)

    @functools.cached_property
    def presets(self) -> dict[str, int]:
        """Preset -> records, most first."""
        if self.folder is None or not self.folder.is_dir():
            return {}
        counts = Counter(record.trial.preset for record in Store(self.folder).records())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @functools.cached_property
    def main(self) -> Campaign | None:
        """The campaign of the folder's main preset; None without records."""
        if self.opened is not None:
            return self.opened
        return self.campaign(next(iter(self.presets), ""))

    @functools.cache  # noqa: B019 - an Evidence lives as long as its command
    def campaign(self, preset: str) -> Campaign | None:
        """The campaign of a preset; None where the folder has no record of it."""
        if preset not in self.presets:
            return None
        assert self.folder is not None
        return open_campaign(self.folder, preset, self.plugins)
