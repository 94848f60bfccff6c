"""Closed for a while every day: 503 with the time at which it opens again.

Before the window more and more requests are turned away, so that what runs can end. The window hangs on the clock and not on the start of
the run: `call.now_ns` is the time since the run began, and the setting says when that was.
"""

import simwright
from simwright import Verdict

DAY = 24 * 3600 * 1_000_000

OPTIONS = simwright.Options(
    at=simwright.duration("2h", "When the window begins, counted from midnight UTC.", "0s", "24h"),
    lasts=simwright.duration("30m", "How long it is closed.", "1s", "12h"),
    drain=simwright.duration("5m", "How long before the window requests begin to be turned away.", "0s", "11h"),
    message=simwright.text("Closed for maintenance.", "What a refusal says."),
)


class Lifecycle(simwright.Lifecycle):
    name = "window"
    version = "0.1.0"
    summary = "Closed for a while every day: 503 with the time at which it opens again."
    options = OPTIONS
    epoch = 0

    def configured(self, setting):
        # An instance has one setting for all its life.
        Lifecycle.epoch = setting.epoch_unix_s * 1_000_000


class Fault(simwright.Fault):
    def decide(self, call):
        # From the moment at which the draining begins, in whole microseconds.
        since = (Lifecycle.epoch + call.now_ns // 1_000 - OPTIONS.at + OPTIONS.drain) % DAY
        if since >= OPTIONS.drain + OPTIONS.lasts:
            return Verdict.PASS
        if since < OPTIONS.drain and not call.key().named("drain").chance(since / OPTIONS.drain):
            return Verdict.PASS
        return Verdict.http(503, OPTIONS.drain + OPTIONS.lasts - since, OPTIONS.message)
