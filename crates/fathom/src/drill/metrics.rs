//! What a process measures, as it was at one moment.

/// The text of `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// Of the text of `/metrics`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The sum of every series of `name` that has all of `labels`; 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let values = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, held) = series.split_once('{').unwrap_or((series, ""));
            let wanted = |(key, value): &(&str, &str)| held.contains(&format!("{key}=\"{value}\""));
            (found == name && labels.iter().all(wanted)).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let text = "# TYPE a counter\na{m=\"x\",o=\"ok\"} 2\na{m=\"y\",o=\"ok\"} 3\nab 7\nb 1.5\n";
        let metrics = Metrics::new(text.to_owned());
        let sums = [
            metrics.sum("a", &[]),
            metrics.sum("a", &[("m", "x")]),
            metrics.sum("a", &[("m", "x"), ("o", "bad")]),
            metrics.sum("b", &[]),
            metrics.sum("c", &[]),
        ];
        assert_eq!(sums, [5.0, 2.0, 0.0, 1.5, 0.0]);
    }
}
