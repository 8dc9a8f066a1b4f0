//! What the host says of the device, and what the engine makes of it.

/// How warm the device is: Android's `PowerManager` and Apple's `ProcessInfo` both say it in these steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Thermal {
    /// Nothing to take care of.
    #[default]
    Nominal,
    /// A little warm.
    Fair,
    /// Warm enough that the system slows down.
    Serious,
    /// About to stop.
    Critical,
}

/// Where the power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// The mains.
    #[default]
    Charging,
    /// The battery.
    Battery,
    /// The battery, nearly empty or told to last.
    Low,
}

/// What the host says of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// How warm it is.
    pub thermal: Thermal,
    /// Where the power comes from.
    pub power: Power,
}

impl Conditions {
    /// How many of `threads` a call may take: half when it is [`Thermal::Serious`] or the power [`Power::Low`], one when it is
    /// [`Thermal::Critical`].
    pub fn threads(self, threads: usize) -> usize {
        let half = self.thermal == Thermal::Serious || self.power == Power::Low;
        match self.thermal {
            Thermal::Critical => 1,
            _ if half => threads.div_ceil(2),
            _ => threads,
        }
    }

    /// Whether work that nobody waits for may go on: not when it is warm or the power low.
    pub fn background(self) -> bool {
        self.thermal < Thermal::Serious && self.power != Power::Low
    }
}

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// The person, now: texts, titles, ratings, prewarming.
    Foreground,
    /// Nobody: augmentation.
    Background,
}

/// What the host allows: kept by the engine and passed to each of its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Control {
    /// No call of this kind decodes.
    pub(crate) foreground_paused: bool,
    /// No call of this kind decodes.
    pub(crate) background_paused: bool,
    /// Calls run on the processor, also where there is a GPU.
    pub(crate) gpu_denied: bool,
    pub(crate) conditions: Conditions,
}

impl Control {
    /// Pauses calls of one priority, or of both, or lets them go on.
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
