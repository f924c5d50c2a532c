//! Figures of several rounds, and the limits that apply to them.

use std::fmt;

/// One figure in each round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(pub Vec<f64>);

impl Rounds {
    /// The middle of the sorted figures.
    pub fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// Each figure of this divided by that of the same round in `other`.
    pub fn ratio_to(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }

    /// The larger of both in each round.
    pub fn larger_of(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one.max(*other)).collect())
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let (low, high) = (quantile(&self.0, 0.0), quantile(&self.0, 1.0));
        write!(f, "{:.digits$} ({low:.digits$} to {high:.digits$})", self.median())
    }
}

/// The smallest figure that is not exceeded by this share of the figures.
pub fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// What was missed.
#[derive(Default)]
pub struct Limits(Vec<String>);

impl Limits {
    /// Prints a figure, and notes it if it is below `limit`.
    pub fn at_least(&mut self, what: &str, figures: &Rounds, limit: f64) {
        self.note(format!("{what}: {figures}, at least {limit}"), figures.median() >= limit);
    }

    /// Prints a figure, and notes it if it is above `limit`.
    pub fn at_most(&mut self, what: &str, figures: &Rounds, limit: f64) {
        self.note(format!("{what}: {figures}, at most {limit}"), figures.median() <= limit);
    }

    fn note(&mut self, line: String, holds: bool) {
        println!("{line}{}", if holds { "" } else { ": MISSED" });
        if !holds {
            self.0.push(line);
        }
    }

    /// # Errors
    ///
    /// If a figure missed its limit.
    pub fn result(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "limits were missed:\n{}", self.0.join("\n"));
        Ok(())
    }
}
