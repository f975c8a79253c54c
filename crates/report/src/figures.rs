//! Measurements and their medians.

/// The measurements of one round of new processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Starting and ending Julia, in seconds.
    pub startup_s: f64,
    /// Loading the packages (`using`), in seconds.
    pub load_s: f64,
    /// The first run of the workloads in seconds, if there are workloads.
    pub first_call_s: Option<f64>,
    /// The second run in the same process in seconds, if they can run twice.
    pub second_call_s: Option<f64>,
    /// Resident memory after start-up, in bytes.
    pub start_memory: u64,
    /// Peak resident memory, workloads included, in bytes.
    pub peak_memory: u64,
}

/// The median of each measurement over several samples. Units as in [`Sample`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// See [`Sample::startup_s`].
    pub startup_s: f64,
    /// See [`Sample::load_s`].
    pub load_s: f64,
    /// The first run of the workloads.
    pub first_call_s: Option<f64>,
    /// The second run of the workloads.
    pub second_call_s: Option<f64>,
    /// See [`Sample::start_memory`].
    pub start_memory: u64,
    /// See [`Sample::peak_memory`].
    pub peak_memory: u64,
}

impl Figures {
    /// Returns the medians of `samples`, or zeros if there are none.
    pub fn median(samples: &[Sample]) -> Self {
        let of = |figure: &dyn Fn(&Sample) -> Option<f64>| {
            let mut values: Vec<f64> = samples.iter().filter_map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let memory = |figure: fn(&Sample) -> u64| {
            let mut values: Vec<u64> = samples.iter().map(figure).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Self {
            startup_s: of(&|s| Some(s.startup_s)).unwrap_or_default(),
            load_s: of(&|s| Some(s.load_s)).unwrap_or_default(),
            first_call_s: of(&|s| s.first_call_s),
            second_call_s: of(&|s| s.second_call_s),
            start_memory: memory(|s| s.start_memory),
            peak_memory: memory(|s| s.peak_memory),
        }
    }

    /// Returns the ratio of the first to the second call: 1.0 means that nothing was left to
    /// compile.
    pub fn first_over_second(&self) -> Option<f64> {
        Some(self.first_call_s? / self.second_call_s?.max(1e-9))
    }

    /// Returns the time until the first result in seconds: start-up, loading and first call.
    pub fn first_result_s(&self) -> f64 {
        self.startup_s + self.load_s + self.first_call_s.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_ignore_outliers_and_missing_calls() {
        let sample = |load_s, calls_s: Option<(f64, f64)>| Sample {
            startup_s: 0.2,
            load_s,
            first_call_s: calls_s.map(|calls| calls.0),
            second_call_s: calls_s.map(|calls| calls.1),
            start_memory: 1,
            peak_memory: 2,
        };
        let calls = Some((2.0, 1.0));
        let samples = [sample(9.0, calls), sample(1.0, calls), sample(2.0, calls)];
        let median = Figures::median(&samples);
        assert!((median.load_s - 2.0).abs() < f64::EPSILON);
        assert_eq!(median.first_over_second(), Some(2.0));
        assert_eq!(Figures::median(&[sample(1.0, None)]).first_call_s, None);
        assert!((median.first_result_s() - 4.2).abs() < 1e-9);
    }
}
