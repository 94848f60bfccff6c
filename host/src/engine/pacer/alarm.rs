//! One kernel timer that a task can wait for, with nanosecond resolution.

use std::io;
use std::time::Duration;

/// A timer that rings once at a time. Linux: a `timerfd` in the runtime's own poll set.
#[cfg(target_os = "linux")]
pub(super) struct Alarm {
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    #[allow(deprecated, reason = "its successor is unsafe for descriptors that nobody owns; this one owns its timer")]
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: tokio::io::unix::AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)? })
    }

    /// Rings after `delay` instead of whenever it was set to.
    pub(super) fn set(&self, delay: Duration) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let off = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would switch the timer off.
        let delay = delay.max(Duration::from_nanos(1));
        let value =
            Timespec { tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(delay.subsec_nanos()) };
        if let Err(error) =
            timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &Itimerspec { it_interval: off, it_value: value })
        {
            tracing::error!(%error, "cannot set the pacer's timer");
        }
    }

    /// Ready when it has rung.
    pub(super) async fn rang(&self) {
        match self.timer.readable().await {
            Ok(mut ready) => {
                // Reading takes the ring back; that it is gone already is as good.
                drop(ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?)));
            }
            Err(error) => tracing::error!(%error, "cannot wait for the pacer's timer"),
        }
    }
}

/// A timer that rings once at a time. Elsewhere than on Linux: the runtime's own, with its millisecond grain.
#[cfg(not(target_os = "linux"))]
pub(super) struct Alarm {
    set: tokio::sync::watch::Sender<Option<Duration>>,
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { set: tokio::sync::watch::channel(None).0 })
    }

    /// Rings after `delay` instead of whenever it was set to.
    pub(super) fn set(&self, delay: Duration) {
        self.set.send_replace(Some(delay));
    }

    /// Ready when it has rung.
    pub(super) async fn rang(&self) {
        let mut changes = self.set.subscribe();
        loop {
            let delay = *changes.borrow_and_update();
            let wait = async {
                match delay {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = wait => {
                    self.set.send_if_modified(|set| { *set = None; false });
                    return;
                }
            }
        }
    }
}
