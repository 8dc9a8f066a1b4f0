//! The device's temperature and power as the host reports them, and their effect on the engine.

/// Temperature of the device, in the steps of Android's `PowerManager` and Apple's `ProcessInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Thermal {
    /// Normal temperature: no limits.
    #[default]
    Nominal,
    /// Slightly raised: no limits.
    Fair,
    /// High: the system throttles.
    Serious,
    /// Critical: the device is about to shut down.
    Critical,
}

/// Power source of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// Mains power.
    #[default]
    Charging,
    /// Battery power.
    Battery,
    /// Battery low, or power saving on.
    Low,
}

/// State of the device, as the host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Conditions {
    /// Temperature.
    pub thermal: Thermal,
    /// Power source.
    pub power: Power,
}

impl Conditions {
    /// Creates the state with this temperature and power source.
    pub fn new(thermal: Thermal, power: Power) -> Self {
        Self { thermal, power }
    }

    /// Returns the number of threads that a call may use, of `threads`. It is half, rounded up, at
    /// [`Thermal::Serious`] or [`Power::Low`], and one at [`Thermal::Critical`].
    pub fn threads(self, threads: usize) -> usize {
        let half = self.thermal == Thermal::Serious || self.power == Power::Low;
        match self.thermal {
            Thermal::Critical => 1,
            _ if half => threads.div_ceil(2),
            _ => threads,
        }
    }

    /// Whether background work may run. It may not from [`Thermal::Serious`] on, nor at
    /// [`Power::Low`].
    pub fn background(self) -> bool {
        self.thermal < Thermal::Serious && self.power != Power::Low
    }
}

/// Priority of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// The user waits for the result: texts, titles, ratings, prewarming.
    Foreground,
    /// No user waits for the result: augmentation.
    Background,
}

/// Limits set by the host. The engine keeps them and passes them to each of its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Control {
    /// Stops foreground calls from decoding.
    pub(crate) foreground_paused: bool,
    /// Stops background calls from decoding.
    pub(crate) background_paused: bool,
    /// Runs calls on the CPU, even if there is a GPU.
    pub(crate) gpu_denied: bool,
    pub(crate) conditions: Conditions,
}

impl Control {
    /// Pauses or resumes the calls of one priority, or of both if `which` is `None`.
    pub(crate) fn pause(&mut self, which: Option<Priority>, paused: bool) {
        if which != Some(Priority::Background) {
            self.foreground_paused = paused;
        }
        if which != Some(Priority::Foreground) {
            self.background_paused = paused;
        }
    }

    /// Whether calls of this priority may decode now.
    pub(crate) fn runs(self, priority: Priority) -> bool {
        match priority {
            Priority::Foreground => !self.foreground_paused,
            Priority::Background => !self.background_paused && self.conditions.background(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_the_less() {
        let on = |thermal, power| Conditions { thermal, power };
        assert_eq!(Conditions::default().threads(8), 8);
        assert_eq!(on(Thermal::Fair, Power::Battery).threads(8), 8);
        assert_eq!(on(Thermal::Serious, Power::Charging).threads(7), 4);
        assert_eq!(on(Thermal::Nominal, Power::Low).threads(1), 1);
        assert_eq!(on(Thermal::Critical, Power::Charging).threads(8), 1);
        assert!(on(Thermal::Fair, Power::Battery).background());
        assert!(!on(Thermal::Serious, Power::Charging).background());
        assert!(!on(Thermal::Nominal, Power::Low).background());
    }

    #[test]
    fn each_priority_has_its_own_pause() {
        use Priority::{Background, Foreground};
        let mut control = Control::default();
        let runs = |control: Control| (control.runs(Foreground), control.runs(Background));
        for (which, paused, expected) in [
            (Some(Foreground), true, (false, true)),
            (None, true, (false, false)),
            (Some(Background), false, (false, true)),
            (None, false, (true, true)),
            (Some(Background), true, (true, false)),
            (Some(Foreground), false, (true, false)),
        ] {
            control.pause(which, paused);
            assert_eq!(runs(control), expected, "{which:?} {paused}");
        }
        let hot = Conditions { thermal: Thermal::Critical, ..Conditions::default() };
        assert_eq!(runs(Control { conditions: hot, ..Control::default() }), (true, false));
    }
}
